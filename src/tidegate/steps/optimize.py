"""optimize: the model becomes what its target serves, proven equal to its source or refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.core.ladder import rungs, told
from tidegate.core.routes import SERVED, Route, choose
from tidegate.documents import FetchedModel, OptimizedModel, Parity, Refusal, Word
from tidegate.policy import Policy
from tidegate.steps import companions
from tidegate.steps.heartbeat import beating
from tidegate.steps.parity_judging import complaint, judged, summary
from tidegate.steps.precision import in_precision
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, InTree, OutDocument, OutTree, step
from tidegate.steps.stepping_down import Served, drop_what_is_not_served, served

if TYPE_CHECKING:
    from tidegate.adapters.flavors.conversion import Converted

GOLDEN = "golden.npz"
TENSORRT = ("tensorrt-cu12-bindings", "polygraphy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimized:
    """The parity gate's word and why."""

    verdict: str
    reason: str


# Not cacheable: on a GPU the result fits that GPU, which is none of its inputs.
@step(image="optimize", gpu=True)
def optimize(
    fetched: InDocument,
    model_tree: InTree,
    policy_document: InPolicy,
    optimized: OutDocument,
    optimized_model: OutTree,
) -> Optimized:
    """Convert the model for its target and compare its answers with the source model's.

    Args:
        fetched: The FetchedModel of fetch.
        model_tree: The version's files.
        policy_document: The effective policy.
        optimized: Where the OptimizedModel is written.
        optimized_model: Where the served form and the golden data are put.
    """
    from tidegate.adapters import files, trees

    source, policy = files.read(fetched, FetchedModel), files.read_policy(policy_document)
    route = choose(source.flavor, policy, what=str(source.subject))
    trees.require(model_tree, source.tree_digest, what="model_tree")
    server = "KServe's own server" if route.target == SERVED else route.backend
    with (
        beating("optimize", f"converting {source.flavor} for {server}, comparing answers"),
        trees.building(optimized_model) as target,
    ):
        document = _optimized(source, route, model_tree, policy, target)
        if isinstance(document, OptimizedModel):
            document = companions.converted(
                document, source, model_tree, policy, target, _optimized
            )
    if isinstance(document, Refusal):
        trees.emptied(optimized_model)
    files.write(optimized, document)
    word = document.word if isinstance(document, Refusal) else document.parity.word
    reason = document.reason if isinstance(document, Refusal) else _summary(document)
    say("optimize", f"parity {word}: {reason}")
    return Optimized(verdict=word.value, reason=reason)


def _optimized(
    source: FetchedModel, route: Route, tree: Path, policy: Policy, target: Path
) -> OptimizedModel | Refusal:
    from tidegate.adapters import golden_data, mlflow_model, source_model, trees
    from tidegate.adapters.flavors.conversion import Given

    what = str(source.subject)
    model = mlflow_model.read(tree, what=what)
    golden = golden_data.load(tree, model, policy.model.golden)
    if golden.rows == 0:
        return _refusal(source, _nothing_golden(policy), None)
    given = Given(
        tree=tree,
        model=model,
        golden=golden,
        policy=policy,
        route=route,
        folder=target,
        what=what,
    )
    converted = source_model.convert(given)
    if converted.said:
        say("optimize", converted.said)
    if policy.optimize.precision != "source":
        converted = in_precision(given, converted)
    golden_data.save(target / GOLDEN, converted.inputs, converted.expected, golden.labels)
    trees.carry(tree, target, carried(policy))
    golden_digest = trees.file_digest(target / GOLDEN)

    def judge(form: "Converted") -> Parity:
        say("optimize", f"comparing {golden.rows} answers with {form.reference}")
        return judged(form, golden, policy, golden_digest)

    found = served(given, converted, rungs(route, policy), judge)
    if found.parity.word is not Word.PASS:
        return _refusal(source, _because(found), found.parity)
    drop_what_is_not_served(target, found, converted.model_file)
    digest = trees.digest_of(trees.files_of(target))
    return _document(source, route, found, policy, digest)


def _because(found: Served) -> str:
    """Why the last rung is refused, and those before it."""
    return "; ".join(filter(None, (complaint(found.parity), told(found.steps_down))))


def carried(policy: Policy) -> tuple[str, ...]:
    """Files of the model version that configure and the load test read."""
    recording = policy.load.recording
    named = (policy.triton.labels_file, policy.load.capture, recording.file if recording else "")
    return tuple(path for path in named if path)


def _document(
    source: FetchedModel, route: Route, found: Served, policy: Policy, digest: str
) -> OptimizedModel:
    converted = found.converted
    return OptimizedModel(
        subject=source.subject,
        target=found.rung.target,
        backend=found.rung.backend,
        tree_digest=digest,
        model_file=converted.model_file,
        opset=converted.opset,
        ir_version=converted.ir_version,
        inputs=converted.form.inputs,
        outputs=converted.form.outputs,
        labels=converted.labels,
        parameters=dict(converted.parameters),
        parity=found.parity,
        precision=policy.optimize.precision,
        accelerator=found.rung.accelerator,
        profiles=found.profiles,
        engine=found.engine,
        package=converted.package,
        steps_down=found.steps_down,
        tools=_tools(route),
    )


def _tools(route: Route) -> dict[str, str]:
    """Versions of what took part."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {}
    for name in (
        "numpy",
        "onnx",
        "onnxruntime",
        "scikit-learn",
        "skl2onnx",
        "tensorflow-cpu",
        "xgboost-cpu",
        *TENSORRT,
        *route.modules,
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _summary(document: OptimizedModel) -> str:
    """What passed, and what it is served on instead of its target."""
    down = told(document.steps_down)
    return f"{summary(document.parity)}; {down}" if down else summary(document.parity)


def _nothing_golden(policy: Policy) -> str:
    return (
        f"the version has neither {policy.model.golden} nor an input example, so nothing can be "
        "compared; log one with the model"
    )


def _refusal(source: FetchedModel, reason: str, parity: Parity | None) -> Refusal:
    word = Word.INCONCLUSIVE if parity is None else parity.word
    return Refusal(subject=source.subject, step="optimize", word=word, reason=reason, parity=parity)
