"""The parity gate: what will be served answers golden inputs as its source does, or is refused."""

from typing import TYPE_CHECKING

from tidegate.documents import Parity, Word
from tidegate.policy import Policy

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
    return Parity(
        word=parity.overall(outputs),
        reference=converted.reference,
        golden=golden.source,
        golden_digest=digest,
        rows=golden.rows,
        outputs=outputs,
    )


def complaint(parity: Parity) -> str:
    """What did not pass, output by output."""
    bad = [output.message for output in parity.outputs if output.word is not Word.PASS]
    return f"differs from {parity.reference}: {'; '.join(bad)}" if bad else "nothing was compared"


def summary(parity: Parity) -> str:
    """What passed, on how many rows."""
    return f"{parity.rows} rows of {parity.golden} answered as by {parity.reference}"
