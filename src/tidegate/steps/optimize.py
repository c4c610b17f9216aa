"""optimize: the model becomes an ONNX graph for its target, proven equal to its source or refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.documents import FetchedModel, OptimizedModel, Parity, Refusal, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.steps.heartbeat import beating
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, InTree, OutDocument, OutTree, step
from tidegate.steps.resolve import require_built

if TYPE_CHECKING:
    from tidegate.adapters.golden_data import Golden
    from tidegate.adapters.source_model import Converted

GRAPH, GOLDEN = "model.onnx", "golden.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimized:
    """The parity gate's word and why."""

    verdict: str
    reason: str


@step(cacheable=True, gpu=True)
def optimize(
    fetched: InDocument,
    model_tree: InTree,
    policy_document: InPolicy,
    optimized: OutDocument,
    optimized_model: OutTree,
) -> Optimized:
    """Convert the model to ONNX and compare its answers with the source model's.

    Args:
        fetched: The FetchedModel of fetch.
        model_tree: The version's files.
        policy_document: The effective policy.
        optimized: Where the OptimizedModel is written.
        optimized_model: Where the graph and the golden data are put.
    """
    from tidegate.adapters import files, trees

    source, policy = files.read(fetched, FetchedModel), files.read_policy(policy_document)
    require_built(policy)
    trees.require(model_tree, source.tree_digest, what="model_tree")
    with (
        beating("optimize", f"converting {source.flavor} to ONNX and comparing the answers"),
        trees.building(optimized_model) as target,
    ):
        document = _optimized(source, model_tree, policy, target)
    if isinstance(document, Refusal):
        trees.emptied(optimized_model)
    files.write(optimized, document)
    word = document.word if isinstance(document, Refusal) else document.parity.word
    reason = document.reason if isinstance(document, Refusal) else _summary(document.parity)
    say("optimize", f"parity {word}: {reason}")
    return Optimized(verdict=word.value, reason=reason)


def _optimized(
    source: FetchedModel, tree: Path, policy: Policy, target: Path
) -> OptimizedModel | Refusal:
    from tidegate.adapters import golden_data, mlflow_model, source_model, trees

    what = str(source.subject)
    model = mlflow_model.read(tree, what=what)
    golden = golden_data.load(tree, model, policy.model.golden)
    if golden.rows == 0:
        return _refusal(source, _nothing_golden(policy), None)
    converted = source_model.convert(
        source.flavor, tree, model, golden, policy, target / GRAPH, what
    )
    if policy.optimize.precision == "int8":
        converted = _quantized(converted, tree, policy, target / GRAPH, what)
    golden_data.save(target / GOLDEN, converted.inputs, converted.expected)
    trees.carry(tree, target, carried(policy))
    say("optimize", f"comparing {golden.rows} answers with {converted.reference}")
    parity = _parity(converted, golden, policy, trees.file_digest(target / GOLDEN))
    if parity.word is not Word.PASS:
        return _refusal(source, _complaint(parity), parity)
    return _document(source, converted, policy, parity, trees.digest_of(trees.files_of(target)))


def _quantized(
    converted: "Converted", tree: Path, policy: Policy, path: Path, what: str
) -> "Converted":
    """The graph in int8, calibrated on rows that it will not be judged by. Raises DocumentError."""
    from dataclasses import replace

    from tidegate.adapters import golden_data, onnx_runtime, quantization
    from tidegate.core.calibration import shared_rows

    where = policy.model.calibration
    if not (tree / where).is_file():
        raise DocumentError(
            f"{what}: has no {where}, which int8 is calibrated on; log it, or set optimize.precision: source"
        )
    rows = converted.graph.cast(golden_data.read(tree / where, what=where).inputs, what=where)
    shared = shared_rows(rows, converted.inputs)
    if shared:
        raise DocumentError(
            f"{what}: {len(shared)} golden rows (the first is {shared[0]}) are in {where} too; "
            "calibrate on other rows than you judge by"
        )
    count = len(next(iter(rows.values())))
    say("optimize", f"quantizing to int8, calibrated on {count} rows of {where}")
    quantization.quantize(path, rows, what=what)
    return replace(converted, graph=onnx_runtime.load(path, what=what))


def carried(policy: Policy) -> tuple[str, ...]:
    """Files of the model version that the load test reads."""
    recording = policy.load.recording
    return tuple(
        path for path in (policy.load.capture, recording.file if recording else "") if path
    )


def _parity(converted: "Converted", golden: "Golden", policy: Policy, digest: str) -> Parity:
    """Answers against the source and, where the version recorded some, against those too."""
    from tidegate.core import parity

    measured = converted.graph.run(converted.inputs)
    outputs = parity.judge(measured, converted.expected, policy.parity)
    outputs += tuple(
        found.model_copy(update={"output": f"{found.output} (recorded)"})
        for found in parity.judge(measured, converted.recorded, policy.parity)
    )
    return Parity(
        word=parity.overall(outputs),
        reference=converted.reference,
        golden=golden.source,
        golden_digest=digest,
        rows=golden.rows,
        outputs=outputs,
    )


def _document(
    source: FetchedModel, converted: "Converted", policy: Policy, parity: Parity, digest: str
) -> OptimizedModel:
    return OptimizedModel(
        subject=source.subject,
        target="onnxruntime",
        tree_digest=digest,
        model_file=GRAPH,
        opset=converted.opset,
        ir_version=converted.ir_version,
        inputs=converted.graph.inputs,
        outputs=converted.graph.outputs,
        labels=converted.labels,
        parity=parity,
        precision=policy.optimize.precision,
        tools=_tools(),
    )


def _tools() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {}
    for name in ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _nothing_golden(policy: Policy) -> str:
    return (
        f"the version has neither {policy.model.golden} nor an input example, so nothing can be "
        "compared; log one with the model"
    )


def _complaint(parity: Parity) -> str:
    bad = [output.message for output in parity.outputs if output.word is not Word.PASS]
    return f"differs from {parity.reference}: {'; '.join(bad)}" if bad else "nothing was compared"


def _summary(parity: Parity) -> str:
    return f"{parity.rows} rows of {parity.golden} answered as by {parity.reference}"


def _refusal(source: FetchedModel, reason: str, parity: Parity | None) -> Refusal:
    word = Word.INCONCLUSIVE if parity is None else parity.word
    return Refusal(subject=source.subject, step="optimize", word=word, reason=reason, parity=parity)
