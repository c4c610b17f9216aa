"""Whether two models answer alike on golden inputs: per output, and altogether. Needs numpy and scipy.

`measured` is the optimised model, `reference` its source. A NaN or an infinity on either side is a
mismatch, whatever the tolerance: a number that is no number proves nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from tidegate.documents import OutputParity, Word, worst
from tidegate.policy import Parity as Rules
from tidegate.policy import Tolerance

Array = npt.NDArray[Any]
ALPHA = 0.05
_SHOWN = 5


def judge(
    measured: Mapping[str, Array], reference: Mapping[str, Array], rules: Rules
) -> tuple[OutputParity, ...]:
    """One finding per output of the reference."""
    return tuple(
        compare(
            name,
            measured.get(name),
            expected,
            rules.outputs.get(name, rules.default),
            rules.min_rows,
        )
        for name, expected in reference.items()
    )


def overall(outputs: tuple[OutputParity, ...]) -> Word:
    """The worst of all; nothing compared is INCONCLUSIVE."""
    return worst(*(output.word for output in outputs))


def compare(
    name: str, measured: Array | None, reference: Array, tolerance: Tolerance, min_rows: int
) -> OutputParity:
    """Judge one output: labels by agreement, numbers by distance."""
    if measured is None or measured.shape != reference.shape:
        shape = "missing" if measured is None else f"of shape {measured.shape}"
        message = f"output {name} is {shape}, the reference has {reference.shape}"
        return OutputParity(output=name, word=Word.FAIL, compared=0, message=message)
    if reference.size == 0:
        message = f"output {name}: no golden rows"
        return OutputParity(output=name, word=Word.INCONCLUSIVE, compared=0, message=message)
    if is_label(reference):
        return _labels(name, measured, reference, tolerance, min_rows)
    return _numbers(name, measured, reference, tolerance, min_rows)


def is_label(array: Array) -> bool:
    """Integers, booleans and text are names of things: near is not equal."""
    return array.dtype.kind in "iubUSO"


def lower_bound(equal: int, total: int, alpha: float = ALPHA) -> float:
    """Clopper-Pearson: the share of equal labels is at least this, with confidence 1 - alpha."""
    return 0.0 if equal == 0 else float(betaincinv(equal, total - equal + 1, alpha))


def upper_bound(equal: int, total: int, alpha: float = ALPHA) -> float:
    """Clopper-Pearson: the share of equal labels is at most this, with confidence 1 - alpha."""
    return 1.0 if equal == total else float(betaincinv(equal + 1, total - equal, 1 - alpha))


def _labels(
    name: str, measured: Array, reference: Array, tolerance: Tolerance, min_rows: int
) -> OutputParity:
    same = _same(measured, reference)
    equal, total = int(same.sum()), int(same.size)
    agreement = equal / total
    word = _label_word(equal, total, len(reference), tolerance.min_agreement, min_rows)
    message = (
        f"output {name}: {agreement:.4f} of labels agree, {tolerance.min_agreement:g} wanted; "
        f"{_rows(~same)}{_thin(word, len(reference), min_rows)}"
    )
    return OutputParity(
        output=name,
        word=word,
        compared=total,
        mismatch_ratio=1 - agreement,
        agreement=agreement,
        agreement_lower=lower_bound(equal, total),
        message=message,
    )


def _same(measured: Array, reference: Array) -> Array:
    """Text is compared as text, also where one side holds Python strings; numbers as numbers."""
    if {measured.dtype.kind, reference.dtype.kind} & set("USO"):
        return np.asarray(measured.astype(str) == reference.astype(str))
    return np.asarray(measured == reference)


def _label_word(equal: int, total: int, rows: int, wanted: float, min_rows: int) -> Word:
    """FAIL once even the upper bound is too low; too few rows, or a bound astride, prove nothing."""
    if upper_bound(equal, total) < wanted:
        return Word.FAIL
    if rows < min_rows or equal / total < wanted:
        return Word.INCONCLUSIVE
    return Word.PASS


def _numbers(
    name: str, measured: Array, reference: Array, tolerance: Tolerance, min_rows: int
) -> OutputParity:
    a, b = measured.astype(np.float64), reference.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    with np.errstate(over="ignore"):
        distance = np.abs(np.where(finite, a, 0.0) - np.where(finite, b, 0.0))
        scale = np.abs(np.where(finite, b, 0.0))
        near = finite & (distance <= tolerance.atol + tolerance.rtol * scale)
    cosine, ulps = _cosine(a[finite], b[finite]), ulp_distance(measured, reference)
    broken, mismatch = int((~finite).sum()), float((~near).mean())
    bad = broken > 0 or mismatch > tolerance.max_mismatch_ratio or cosine < tolerance.min_cosine
    bad |= tolerance.max_ulp is not None and (ulps is None or ulps > tolerance.max_ulp)
    top1 = top_matches(measured, reference)
    words = [Word.FAIL if bad else Word.INCONCLUSIVE if len(b) < min_rows else Word.PASS]
    if tolerance.min_top1 is not None:
        words.append(_top1_word(top1, tolerance.min_top1))
    word, worst_distance = worst(*words), float(distance.max())
    message = (
        f"output {name}: largest difference {worst_distance:.3g}, cosine {cosine:.6f}; "
        f"{_rows(~near)}{f', {broken} values NaN or infinite' if broken else ''}"
        f"{_asked(tolerance, ulps, top1)}{_thin(word, len(b), min_rows)}"
    )
    return OutputParity(
        output=name,
        word=word,
        compared=int(b.size),
        max_abs_error=_finite(worst_distance),
        max_rel_error=_finite(_relative(distance, scale)),
        mismatch_ratio=mismatch,
        cosine=cosine,
        max_ulp=ulps,
        agreement=None if top1 is None else float(top1.mean()),
        agreement_lower=None if top1 is None else lower_bound(int(top1.sum()), top1.size),
        message=message,
    )


def _top1_word(top1: Array | None, wanted: float) -> Word:
    """By its bounds: PASS once the lower one reaches what is wanted. What has no columns cannot be asked."""
    if top1 is None:
        return Word.INVALID
    equal, total = int(top1.sum()), int(top1.size)
    if upper_bound(equal, total) < wanted:
        return Word.FAIL
    return Word.PASS if lower_bound(equal, total) >= wanted else Word.INCONCLUSIVE


def top_matches(measured: Array, reference: Array) -> Array | None:
    """Per row, whether the largest score is in the same column; None for what has no two columns."""
    if reference.ndim != 2 or reference.shape[1] < 2:
        return None
    return np.asarray(measured.argmax(axis=1) == reference.argmax(axis=1))


def ulp_distance(measured: Array, reference: Array) -> int | None:
    """The most floats of their type that lie between two values; None for other types, or a NaN.

    The bits of IEEE 754 floats of one sign sort as integers do (Goldberg, ACM Computing Surveys 23, 1991).
    """
    if measured.dtype != reference.dtype or measured.dtype.kind != "f" or measured.itemsize > 8:
        return None
    if np.isnan(measured).any() or np.isnan(reference).any():
        return None
    a, b = _ordered(measured), _ordered(reference)
    apart = np.where(a > b, a - b, b - a).view(
        np.uint64
    )  # wraps, and is right as an unsigned number
    return int(apart.max(initial=0))


def _ordered(array: Array) -> Array:
    """Floats as integers in the order of the floats: negative ones mirrored below zero."""
    bits = np.ascontiguousarray(array).view(f"i{array.itemsize}").astype(np.int64).ravel()
    return np.where(bits < 0, np.iinfo(f"i{array.itemsize}").min - bits, bits)


def _asked(tolerance: Tolerance, ulps: int | None, top1: Array | None) -> str:
    """Words on what the policy asks for beyond distance."""
    said = ""
    if tolerance.max_ulp is not None:
        said += f"; {'no' if ulps is None else ulps} ULP apart, {tolerance.max_ulp} allowed"
    if tolerance.min_top1 is not None:
        share = "has no columns to compare" if top1 is None else _top1_said(top1)
        said += f"; top-1 {share}, {tolerance.min_top1:g} wanted"
    return said


def _top1_said(top1: Array) -> str:
    lower = lower_bound(int(top1.sum()), top1.size)
    return f"{top1.mean():.4f} of rows agree, at least {lower:.4f} by 95 % confidence"


def _relative(distance: Array, scale: Array) -> float:
    """Largest relative error where the reference is not zero; 0 where it is zero throughout."""
    with np.errstate(over="ignore"):
        ratios = distance[scale > 0] / scale[scale > 0]
    return float(ratios.max()) if ratios.size else 0.0


def _cosine(a: Array, b: Array) -> float:
    """Of the flattened values; equal vectors give exactly 1, also when they are zero or empty."""
    if np.array_equal(a, b):
        return 1.0
    largest_a, largest_b = np.abs(a).max(), np.abs(b).max()
    if largest_a == 0 or largest_b == 0:
        return 0.0 if max(largest_a, largest_b) > 0 else 1.0
    a, b = a / largest_a, b / largest_b  # squares of large values would overflow
    return float(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1.0, 1.0))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _rows(different: Array) -> str:
    """How many rows differ, and the first few row numbers."""
    rows = np.flatnonzero(different.reshape(len(different), -1).any(axis=1))
    if rows.size == 0:
        return f"0 of {len(different)} rows differ"
    first = ", ".join(map(str, rows[:_SHOWN])) + (", ..." if rows.size > _SHOWN else "")
    return f"{rows.size} of {len(different)} rows differ (rows {first})"


def _thin(word: Word, rows: int, min_rows: int) -> str:
    if word is not Word.INCONCLUSIVE:
        return ""
    return f"; {rows} golden rows are too few to tell, log at least {max(min_rows, rows * 4)}"
