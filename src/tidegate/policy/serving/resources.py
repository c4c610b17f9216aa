"""CPU, memory and devices of a container, as Kubernetes counts them."""

import re

QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?")
KINDS = ("requests", "limits")
Resources = dict[str, dict[str, str]]


def checked(resources: Resources) -> Resources:
    """The same. Raises ValueError for what the API, or the scheduler, would refuse.

    An extended resource cannot be overcommitted, so a request of it equals its limit (Kubernetes,
    "Manage resources for containers": extended resources).
    """
    for kind, amounts in resources.items():
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is neither requests nor limits")
        for name, amount in amounts.items():
            _quantity(kind, name, amount)
    limits = resources.get("limits", {})
    for name, amount in resources.get("requests", {}).items():
        if "/" in name and limits.get(name) != amount:
            raise ValueError(
                f"requests.{name} {amount} must equal its limit; name it in limits alone"
            )
    return resources


def _quantity(kind: str, name: str, amount: str) -> None:
    if not QUANTITY.fullmatch(amount):
        raise ValueError(
            f"{kind}.{name} {amount!r} is no quantity; write e.g. '500m', '4' or '8Gi'"
        )
    if "/" in name and not amount.isdecimal():
        raise ValueError(f"{kind}.{name} {amount!r} is a device; write a whole number")
