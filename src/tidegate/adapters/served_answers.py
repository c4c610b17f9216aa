"""What is wrong with an answer of a served model: beside its golden answer, or by itself."""

import numpy as np

from tidegate.adapters.serving import Answer, Array, Golden
from tidegate.policy import Parity, Tolerance


def difference(
    answer: Answer, golden: Golden, row: int, *, parity: Parity, version: str | None
) -> str:
    """How an answer differs from the golden one; '' when it does not."""
    if stranger := _stranger(answer, version):
        return stranger
    for name, rows in golden.outputs.items():
        if name not in answer.outputs:
            return f"output {name} is missing"
        found, expected = answer.outputs[name], np.asarray(rows[row]).reshape(-1)
        if found.shape != expected.shape:
            return f"output {name} has {found.size} values instead of {expected.size}"
        tolerance = parity.outputs.get(name, parity.default)
        if not _equal(found, expected, tolerance):
            return f"output {name} differs"
    return ""


def unusable(answer: Answer, golden: Golden, *, version: str | None) -> str:
    """Why an answer that nothing is compared with is none: another version, or NaN where no golden answer
    has any; '' when it is one."""
    if stranger := _stranger(answer, version):
        return stranger
    if not answer.outputs:
        return "the answer has no outputs"
    for name, found in answer.outputs.items():
        usual = golden.outputs.get(name)
        if _has_nan(found) and not (usual is not None and _has_nan(usual)):
            return f"output {name} is NaN"
    return ""


def _stranger(answer: Answer, version: str | None) -> str:
    if version is None or answer.version == version:
        return ""
    return f"answered by version {answer.version or '(unnamed)'} instead of {version}"


def _has_nan(values: Array) -> bool:
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def _equal(found: Array, expected: Array, tolerance: Tolerance) -> bool:
    """Labels exactly; floats within atol + rtol*|expected| but for the ratio allowed. NaN only for NaN."""
    if expected.dtype.kind != "f" or found.dtype.kind not in "fiu":
        return bool(np.array_equal(found.astype(str), expected.astype(str)))
    close = np.isclose(found, expected, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
    outside = 1 - float(np.mean(close)) if close.size else 0.0
    return outside <= tolerance.max_mismatch_ratio
