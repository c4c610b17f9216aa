"""Kubernetes' quantities: `500m`, `2`, `4Gi`. Pure (apimachinery pkg/api/resource/quantity.go)."""

import re

from tidegate.sandbox.api.kinds import Json

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(|m|k|M|G|T|Ki|Mi|Gi|Ti)")
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{unit}i": 1024.0**power for power, unit in enumerate("KMGT", start=1)
}


def amount(text: object) -> float | None:
    """Cores, bytes, or a plain number; None of what cannot be read."""
    found = _QUANTITY.fullmatch(str(text))
    return float(found[1]) * _UNITS[found[2]] if found else None


def milli(number: float) -> str:
    """In thousandths, as a controller writes a metric: `1500m`, and whole numbers without them."""
    thousandths = round(number * 1000)
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)


def request(container: Json, resource: str) -> float | None:
    """`resources.requests`; the limit where only that is given (pkg/apis/core/v1/defaults.go)."""
    resources = container.get("resources") or {}
    for field in ("requests", "limits"):
        if resource in (resources.get(field) or {}):
            return amount(resources[field][resource])
    return None
