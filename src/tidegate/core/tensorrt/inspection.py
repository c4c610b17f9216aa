"""What the engine inspector tells, in numbers: layers, what kind they are, their precisions and formats.

10.x writes a tensor's `Format/Datatype` as one text, 11.x as two fields; a build that kept layer names alone
writes each layer as a text. What is not recognised is counted as `other`, never dropped.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_PRECISIONS = (
    ("FP16", r"\b(fp16|half)\b"),
    ("BF16", r"\b(bf16|bfloat16)\b"),
    ("FP8", r"\b(fp8|f8e4m3)\w*"),
    ("FP4", r"\b(fp4|f4e2m1)\w*"),
    ("INT8", r"\bint8\b"),
    ("UINT8", r"\buint8\b"),
    ("INT4", r"\bint4\b"),
    ("INT64", r"\bint64\b"),
    ("INT32", r"\bint32\b"),
    ("BOOL", r"\bbool\b"),
    ("FP32", r"\b(fp32|float|float32)\b"),
)
OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Layers of a plan, and how many there are of each kind, of each precision and format of an output."""

    layers: int
    kinds: dict[str, int] = field(default_factory=dict)
    precisions: dict[str, int] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)


def inspected(text: str) -> Inspection | None:
    """The inspector's JSON in numbers; None where it is none."""
    try:
        layers = json.loads(text)["Layers"]
    except (ValueError, TypeError, KeyError):
        return None
    if not isinstance(layers, list):
        return None
    detailed = [layer for layer in layers if isinstance(layer, dict)]
    outputs = list(_outputs(detailed))
    return Inspection(
        layers=len(layers),
        kinds=_counted(str(layer.get("LayerType", OTHER)) for layer in detailed),
        precisions=_counted(precision(data_type) for _, data_type in outputs),
        formats=_counted(text for text, _ in outputs),
    )


def precision(text: str) -> str:
    """`FP16` of `Row major linear FP16 format` and of `Half`; `other` for what is not known."""
    lowered = text.lower()
    return next((name for name, words in _PRECISIONS if re.search(words, lowered)), OTHER)


def _outputs(layers: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(format, data type) of every output; both are the same text in 10.x."""
    for layer in layers:
        for tensor in layer.get("Outputs") or []:
            if not isinstance(tensor, dict):
                continue
            both = str(tensor.get("Format/Datatype", ""))
            kind = both or str(tensor.get("Datatype", tensor.get("DataType", "")))
            yield both.rstrip(".") or str(tensor.get("Format", OTHER)), kind


def _counted(words: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
