"""Kubernetes' quantities as exact numbers. Pure.

The grammar is `<number><suffix>` with binary, decimal and exponent suffixes: kubernetes/apimachinery
pkg/api/resource/quantity.go.
"""

import re
from collections.abc import Mapping
from fractions import Fraction

_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d+))?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Mapping[str, int] = {
    f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", start=1)
}
_SHOWN = (("Gi", 1024**3), ("Mi", 1024**2))

Amounts = Mapping[str, Fraction]


def amount(text: object) -> Fraction | None:
    """The number; None when it is no quantity."""
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        return None
    number, suffix, exponent = found.groups()
    if suffix in _BINARY:
        return Fraction(number) * _BINARY[suffix]
    power = int(exponent) if exponent else _DECIMAL.get(suffix or "", 0)
    scale: int = 10 ** abs(power)
    return Fraction(number) * scale if power >= 0 else Fraction(number) / scale


def amounts(held: Mapping[str, object] | None) -> dict[str, Fraction]:
    """Resource -> number; what is no quantity is left out."""
    read = {name: amount(text) for name, text in (held or {}).items()}
    return {name: number for name, number in read.items() if number is not None}


def milli(number: float) -> str:
    """In thousandths, as a controller writes a metric: `1500m`, and whole numbers without them."""
    thousandths = round(number * 1000)
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)


def shown(name: str, number: Fraction) -> str:
    """For a person: `memory 8Gi`, `cpu 1.5`, `nvidia.com/gpu 2`."""
    if name == "memory" or name.startswith(("hugepages-", "ephemeral-storage")):
        for unit, size in _SHOWN:
            if number >= size:
                return f"{name} {float(round(number / size, 1)):g}{unit}"
    return f"{name} {float(round(number, 3)):g}"
