"""The newest ONNX that each Triton reads, and what a converted graph is therefore written in."""

from tidegate.policy import Optimize

# (Triton, newest opset, newest IR): from this version of the server on.
TRITON_READS = (
    ((2, 34), 19, 9),  # 23.05, ONNX Runtime 1.15
    ((2, 51), 21, 10),  # 24.10, 1.19
    ((2, 57), 22, 10),  # 25.04, 1.21
    ((2, 60), 23, 11),  # 25.08, 1.23
    ((2, 66), 25, 13),  # 26.02, 1.24
)


def newest(triton: tuple[int, int]) -> tuple[int, int] | None:
    """(opset, IR) that this Triton reads at most; None for one older than any that is known."""
    reads = [(opset, ir) for since, opset, ir in TRITON_READS if since <= triton]
    return reads[-1] if reads else None


def pinned(wanted: Optimize, triton: tuple[int, int]) -> tuple[int, int]:
    """(opset, IR) that a graph is written in: the policy's, and no newer than the target reads.

    What the policy says itself is kept, and the linter refuses it where the target cannot read it.
    """
    opset, ir = newest(triton) or (wanted.opset, wanted.max_ir_version)
    said = wanted.model_fields_set
    return (
        wanted.opset if "opset" in said else min(wanted.opset, opset),
        wanted.max_ir_version if "max_ir_version" in said else min(wanted.max_ir_version, ir),
    )
