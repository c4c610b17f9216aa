"""fetch: downloads exactly the resolved version, proves it whole, and refuses what would run code."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tidegate.documents import Candidate, FetchedModel, Refusal, Word
from tidegate.errors import ConflictError, DocumentError
from tidegate.policy import Policy
from tidegate.steps.companions import FOLDER
from tidegate.steps.heartbeat import beating
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, OutDocument, OutTree, step
from tidegate.steps.resolve import flavor_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The word, and the digest of the files."""

    verdict: str
    tree_digest: str


@step(cacheable=True, touches="reads MLflow")
def fetch(
    candidate: InDocument,
    policy_document: InPolicy,
    fetched: OutDocument,
    model_tree: OutTree,
) -> Fetched:
    """Download the model version, check it, and refuse pickles unless the policy allows them.

    Args:
        candidate: The Candidate of resolve.
        policy_document: The effective policy.
        fetched: Where the FetchedModel is written.
        model_tree: Where the version's files are put.
    """
    from tidegate.adapters import files

    subject = files.read(candidate, Candidate)
    refused = _download(subject, files.read_policy(policy_document), model_tree)
    if refused is not None:
        files.write(fetched, refused)
        say("fetch", refused.reason)
        return Fetched(verdict=refused.word.value, tree_digest="")
    document = _document(subject, model_tree)
    files.write(fetched, document)
    say("fetch", f"{len(document.files)} files, {document.tree_digest[:19]}")
    return Fetched(verdict=Word.PASS.value, tree_digest=document.tree_digest)


def _document(candidate: Candidate, tree: Path) -> FetchedModel:
    from tidegate.adapters import trees

    found = trees.files_of(tree)
    return FetchedModel(
        subject=candidate.subject,
        flavor=flavor_of(candidate),
        files=found,
        tree_digest=trees.digest_of(found),
        companions={
            name: _document(one, tree / FOLDER / name) for name, one in candidate.companions.items()
        },
    )


def _download(candidate: Candidate, policy: Policy, target: Path) -> Refusal | None:
    """Fill the target, or leave it empty and say why."""
    from tidegate.adapters import trees

    with trees.building(target) as temporary:
        refused = _one(candidate, policy, temporary)
        if candidate.companions and (temporary / FOLDER).exists():
            raise DocumentError(
                f"{candidate.subject} has files below {FOLDER}/, where its companions go; rename that folder"
            )
        for name, one in candidate.companions.items():
            (folder := temporary / FOLDER / name).mkdir(parents=True)
            refused = refused or _one(one, policy, folder)
        if refused is None:
            return None
    trees.emptied(target)
    return refused.model_copy(update={"subject": candidate.subject})


def _one(candidate: Candidate, policy: Policy, folder: Path) -> Refusal | None:
    """One version into its folder, checked."""
    from tidegate.adapters import mlflow_model, trees
    from tidegate.adapters.mlflow_registry import registry

    downloading = beating("fetch", f"downloading {candidate.subject}")
    with downloading, registry(say=partial(say, "fetch")) as models:
        models.download(candidate, folder)
    _require_same(candidate, folder)
    names = tuple(file.path for file in trees.files_of(folder))
    model = mlflow_model.read(folder, what=str(candidate.subject))
    pickled = mlflow_model.pickles(model, names)
    if not pickled or policy.model.allow_pickle:
        return None
    return _refusal(candidate, pickled)


def _require_same(candidate: Candidate, tree: Path) -> None:
    from tidegate.adapters.trees import file_digest

    path = tree / "MLmodel"
    digest = file_digest(path) if path.is_file() else "no MLmodel file"
    if digest != candidate.subject.digest:
        raise ConflictError(
            f"{candidate.subject}: its MLmodel is {digest[:19]}, resolve saw "
            f"{candidate.subject.digest[:19]}; its files were changed: register a new version"
        )


def _refusal(candidate: Candidate, pickled: tuple[str, ...]) -> Refusal:
    return Refusal(
        subject=candidate.subject,
        step="fetch",
        word=Word.FAIL,
        reason=f"{candidate.subject} holds a pickle ({', '.join(pickled[:3])}), which runs code when "
        "loaded; log the model in the skops or onnx format, or set model.allow_pickle: true",
    )
