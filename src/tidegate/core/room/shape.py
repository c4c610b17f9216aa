"""What one pod asks of a node, from its template as it is rendered. Pure.

A pod asks for the sum of its containers' requests, or of one init container's if that is more; a request that
is not written is its limit (Kubernetes, "Resource management for pods and containers", "Init containers").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tidegate.core.quantity import amounts, shown

Json = Mapping[str, Any]
Terms = tuple[Json, ...]
PODS = "pods"  # each takes one of the node's `pods`
MEASURED = ("cpu", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One pod: resource -> amount, and where it may stand. `terms`: of the required node affinity, any of
    which must match; None: there is none. `stands`: it is there already, so what keeps new pods off a node
    does not move it."""

    asks: Mapping[str, Fraction]
    selector: Mapping[str, str]
    tolerations: Terms = ()
    terms: Terms | None = None
    stands: bool = False

    @property
    def devices(self) -> tuple[str, ...]:
        """The extended resources that it asks for, such as nvidia.com/gpu."""
        return tuple(sorted(name for name in self.asks if is_device(name)))

    @property
    def unsaid(self) -> tuple[str, ...]:
        """What its template leaves to the runtime or the namespace."""
        return tuple(name for name in MEASURED if name not in self.asks)

    def __str__(self) -> str:
        told = [
            shown(name, self.asks[name]) for name in (*self.devices, *MEASURED) if name in self.asks
        ]
        return ", ".join(told) or "nothing"


def is_device(name: str) -> bool:
    """An extended resource: a name with a domain that is not Kubernetes' own."""
    domain, slash, _ = name.partition("/")
    return bool(slash) and not domain.endswith("kubernetes.io")


def of_component(spec: Json, *, stands: bool = False) -> Shape:
    """Of a predictor, transformer or explainer of an InferenceService: its model's container, KServe's own
    explainer, and every container that the user wrote. What a runtime adds is not in it."""
    model = [one for key in ("model", "art") if (one := spec.get(key))]
    required = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = required.get("requiredDuringSchedulingIgnoredDuringExecution")
    return Shape(
        asks=asked([*model, *(spec.get("containers") or ())], spec.get("initContainers") or ()),
        selector=dict(spec.get("nodeSelector") or {}),
        tolerations=tuple(spec.get("tolerations") or ()),
        terms=tuple(terms.get("nodeSelectorTerms") or ()) if terms else None,
        stands=stands,
    )


def asked(containers: Sequence[Json], init: Sequence[Json] = ()) -> dict[str, Fraction]:
    """What these containers together ask for, and one place on the node."""
    lasting = [one for one in init if one.get("restartPolicy") == "Always"]
    found = _sum(map(requests, (*containers, *lasting)))
    for one in init:
        for name, number in requests(one).items():
            found[name] = max(found.get(name, Fraction(0)), number)
    return {name: number for name, number in found.items() if number} | {PODS: Fraction(1)}


def requests(container: Json) -> dict[str, Fraction]:
    """A container's requests; a limit stands for what is not requested."""
    held = container.get("resources") or {}
    return {**amounts(held.get("limits")), **amounts(held.get("requests"))}


def _sum(parts: Iterable[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, Fraction(0)) + number
    return total
