"""The parity gate: what will be served answers golden inputs as its source does, or is refused."""

from typing import TYPE_CHECKING

from tidegate.documents import Parity, Word, worst
from tidegate.policy import Policy
from tidegate.steps.parity_beyond import checks

if TYPE_CHECKING:
    from tidegate.adapters.flavors.conversion import Converted
    from tidegate.adapters.golden_data import Golden


def judged(converted: "Converted", golden: "Golden", policy: Policy, digest: str) -> Parity:
    """Answers against the source and, where the version recorded some, against those too."""
    from tidegate.core import parity

    measured = converted.form.run(converted.inputs)
    outputs = parity.judge(measured, converted.expected, policy.parity)
    outputs += tuple(
        found.model_copy(update={"output": f"{found.output} (recorded)"})
        for found in parity.judge(measured, converted.recorded, policy.parity)
    )
    word = parity.overall(outputs)
    found = checks(converted, policy) if word is Word.PASS else ()
    return Parity(
        word=worst(word, *(one.word for one in found)),
        reference=converted.reference,
        golden=golden.source,
        golden_digest=digest,
        rows=golden.rows,
        outputs=outputs,
        checks=found,
        first_layer=_first_layer(converted, policy) if word is Word.FAIL else "",
    )


def _first_layer(converted: "Converted", policy: Policy) -> str:
    """Only of two graphs: between a framework and a graph no layer is the other one's."""
    from tidegate.adapters import onnx_layers, onnx_runtime

    if converted.source_graph is None or not isinstance(converted.form, onnx_runtime.Graph):
        return ""
    target = converted.folder / converted.model_file
    return onnx_layers.first_difference(
        converted.source_graph, target, converted.inputs, policy.parity.default
    )


def complaint(parity: Parity) -> str:
    """What did not pass, output by output."""
    judged = (*parity.outputs, *parity.checks)
    bad = [one.message for one in judged if one.word is not Word.PASS]
    if not bad:
        return "nothing was compared"
    return "; ".join(
        filter(None, (f"differs from {parity.reference}: {bad[0]}", *bad[1:], parity.first_layer))
    )


def summary(parity: Parity) -> str:
    """What passed, on how many rows."""
    return f"{parity.rows} rows of {parity.golden} answered as by {parity.reference}"
