"""The models that are served with the released one: pinned, fetched and converted as that is."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.routes import choose
from tidegate.documents import Candidate, FetchedModel, OptimizedModel, Refusal
from tidegate.errors import DocumentError
from tidegate.policy import Companion, Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.adapters.mlflow_registry import MlflowRegistry
    from tidegate.core.routes import Route

    Convert = Callable[[FetchedModel, Route, Path, Policy, Path], OptimizedModel | Refusal]

FOLDER = "companions"
MAIN_GOLDEN = "golden-model.npz"


def policy_of(companion: Companion, policy: Policy) -> Policy:
    """The policy as it is for a companion: its own target and golden data, the rest as for the model."""
    return policy.model_copy(
        update={
            "model": policy.model.model_copy(
                update={"uri": companion.uri, "golden": companion.golden}
            ),
            "optimize": policy.optimize.model_copy(
                update={"target": companion.target, "precision": "source"}
            ),
            "triton": policy.triton.model_copy(update={"labels_file": ""}),
            "load": policy.load.model_copy(update={"capture": "", "recording": None}),
        }
    )


def require_allowed(policy: Policy) -> None:
    """Code in the model version runs in the server. Raises DocumentError."""
    code = next((one for one in policy.repository.models if one.code), None)
    if code and not policy.model.allow_code:
        raise DocumentError(
            f"repository.models: {code.name} is code that runs in the server; set model.allow_code: true "
            "if you trust it"
        )


def pinned(policy: Policy, models: "MlflowRegistry") -> dict[str, Candidate]:
    """Each to one READY version, by a route that there is. Raises by class of error."""
    from tidegate.steps.resolve import flavor_of

    found = {}
    for one in policy.repository.models:
        if one.uri:
            found[one.name] = candidate = models.candidate(one.uri)
            choose(flavor_of(candidate), policy_of(one, policy), what=str(candidate.subject))
    return found


def converted(
    document: OptimizedModel,
    source: FetchedModel,
    tree: Path,
    policy: Policy,
    target: Path,
    convert: "Convert",
) -> OptimizedModel | Refusal:
    """The model with its companions beside it, each proven equal to its source or all of it refused."""
    from tidegate.adapters import trees

    if not policy.repository.models:
        return document
    found: dict[str, OptimizedModel] = {}
    for one in policy.repository.models:
        folder = target / FOLDER / one.name
        folder.mkdir(parents=True)
        if one.code:
            _code(one, tree, folder)
            continue
        done = _one(one, source.companions, tree, policy, folder, convert)
        if isinstance(done, Refusal):
            return _refusal(document, one, done)
        found[one.name] = done
    if policy.repository.is_ensemble:
        _golden_of_the_whole(tree, policy, target)
    digest = trees.digest_of(trees.files_of(target))
    return document.model_copy(update={"companions": found, "tree_digest": digest})


def _one(
    one: Companion,
    fetched: Mapping[str, FetchedModel],
    tree: Path,
    policy: Policy,
    folder: Path,
    convert: "Convert",
) -> OptimizedModel | Refusal:
    if one.name not in fetched:
        raise DocumentError(
            f"repository.models: {one.name} was not resolved; run resolve and fetch with this policy"
        )
    source, own = fetched[one.name], policy_of(one, policy)
    route = choose(source.flavor, own, what=str(source.subject))
    return convert(source, route, tree / FOLDER / one.name, own, folder)


def _refusal(document: OptimizedModel, one: Companion, done: Refusal) -> Refusal:
    return Refusal(
        subject=document.subject,
        step="optimize",
        word=done.word,
        reason=f"{one.name} ({done.subject}): {done.reason}",
        parity=done.parity,
    )


def _code(one: Companion, tree: Path, folder: Path) -> None:
    """The folder of the version as it is. Raises DocumentError."""
    from tidegate.adapters import trees

    source = tree / one.code
    for name in ("model.py", "config.pbtxt"):
        if not (source / name).is_file():
            raise DocumentError(
                f"repository.models: {one.name}: the model version has no {one.code}/{name}; log it with it"
            )
    names = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    trees.carry(source, folder, names)


def _golden_of_the_whole(tree: Path, policy: Policy, target: Path) -> None:
    """What clients send and must get back is golden data of its own. Raises DocumentError."""
    from tidegate.adapters import golden_data
    from tidegate.adapters.trees import disk_errors

    name = policy.repository.golden
    if not (tree / name).is_file():
        raise DocumentError(
            f"repository.golden: the model version has no {name}; log what clients send the ensemble "
            "(input.<name>) and what must come back (output.<name>)"
        )
    whole = golden_data.read(tree / name, what=name)
    if not whole.outputs:
        raise DocumentError(
            f"repository.golden: {name} has no output.<name>; nothing else knows what must come back"
        )
    with disk_errors(target):
        (target / "golden.npz").replace(target / MAIN_GOLDEN)
    golden_data.save(target / "golden.npz", whole.inputs, whole.outputs, whole.labels)
