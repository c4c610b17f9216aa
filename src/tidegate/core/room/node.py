"""One node: what it has left, and why a pod cannot stand on it. Pure.

The rules are the scheduler's own filters: unschedulable, taints (kubernetes/kubernetes pkg/apis/core/v1/
helper: ToleratesTaint), node selector and required node affinity (component-helpers scheduling/corev1/
nodeaffinity), and resources. Preferences filter nothing. Affinity between pods is not looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tidegate.core.quantity import amounts, shown
from tidegate.core.room.shape import PODS, Shape, asked

Json = Mapping[str, Any]
KEEPS_OFF = ("NoSchedule", "NoExecute")
OVER = ("Succeeded", "Failed")
ISVC, COMPONENT = "serving.kserve.io/inferenceservice", "component"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`free`: allocatable less what the pods there ask for, as far as they are known."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, Fraction]
    free: Mapping[str, Fraction]
    taints: tuple[Json, ...]
    is_cordoned: bool
    is_ready: bool

    @property
    def takes_pods(self) -> bool:
        """New ones, of whatever kind."""
        return self.is_ready and not self.is_cordoned

    def bars(self, shape: Shape) -> str:
        """Why the pod may not stand here, however much is free; '' when it may."""
        if not shape.stands:
            if not self.takes_pods:
                return "is cordoned" if self.is_ready else "is not ready"
            if taint := next((t for t in self.taints if _keeps_off(t, shape.tolerations)), None):
                return f"has taint {_shown(taint)}"
        for key, value in shape.selector.items():
            if self.labels.get(key) != value:
                return f"label {key} is {self.labels.get(key, 'not there')}, not {value}"
        if shape.terms is not None and not any(self._matches(term) for term in shape.terms):
            return "is not what the node affinity requires"
        return ""

    def lacks(self, shape: Shape) -> str:
        """The first resource that one pod asks for and that is not free here; '' when there is room. What a
        node does not name it does not have, but for places."""
        for name, number in shape.asks.items():
            has = self.free.get(name, number if name == PODS else Fraction(0))
            if number > has:
                return f"has {shown(name, has)}, one pod takes {shown(name, number)}"
        return ""

    def holds(self, shape: Shape, most: int) -> int:
        """How many such pods it has room for, up to `most`."""
        if self.bars(shape):
            return 0
        found = [most, *(int(self.free[n] // a) for n, a in shape.asks.items() if n in self.free)]
        return 0 if self.lacks(shape) else max(min(found), 0)

    def left(self, names: Iterable[str]) -> str:
        """What is free of these, of how much."""
        told = (
            f"{shown(name, self.free[name])} of {shown(name, self.allocatable[name]).partition(' ')[2]}"
            for name in names
            if name in self.free
        )
        return ", ".join(told) or "none of it"

    def _matches(self, term: Json) -> bool:
        labels, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
        named = {"metadata.name": self.name}
        told = [_holds(one, self.labels) for one in labels] + [_holds(one, named) for one in fields]
        return bool(told) and all(told)


def read(nodes: Iterable[Json], pods: Iterable[Json] | None, *, but: tuple[str, str]) -> list[Node]:
    """The API's nodes. `pods`: all of the cluster's, None when they may not be read. `but`: the namespace and
    name of the InferenceService whose predictor's pods the release counts by itself."""
    used: dict[str, dict[str, Fraction]] = {}
    for pod in pods or ():
        where = str(pod.get("spec", {}).get("nodeName") or "")
        if where and not _is_over(pod) and not _is_of(pod, but):
            _add(used.setdefault(where, {}), _asked_by(pod))
    return [_node(one, used) for one in nodes]


def _node(item: Json, used: Mapping[str, Mapping[str, Fraction]]) -> Node:
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    name, whole = str(metadata.get("name", "")), amounts(status.get("allocatable"))
    held = used.get(name, {})
    ready = (c for c in status.get("conditions") or () if c.get("type") == "Ready")
    return Node(
        name=name,
        labels=metadata.get("labels") or {},
        allocatable=whole,
        free={key: number - held.get(key, Fraction(0)) for key, number in whole.items()},
        taints=tuple(spec.get("taints") or ()),
        is_cordoned=bool(spec.get("unschedulable")),
        is_ready=any(one.get("status") == "True" for one in ready),
    )


def _asked_by(pod: Json) -> dict[str, Fraction]:
    spec = pod["spec"]
    found = asked(spec.get("containers") or (), spec.get("initContainers") or ())
    _add(found, amounts(spec.get("overhead")))
    return found


def _add(total: dict[str, Fraction], part: Mapping[str, Fraction]) -> None:
    for name, number in part.items():
        total[name] = total.get(name, Fraction(0)) + number


def _is_over(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in OVER


def _is_of(pod: Json, service: tuple[str, str]) -> bool:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    mine = (metadata.get("namespace", ""), labels.get(ISVC, "")) == service
    return mine and labels.get(COMPONENT) == "predictor"


def _keeps_off(taint: Json, tolerations: Sequence[Json]) -> bool:
    return taint.get("effect") in KEEPS_OFF and not any(_tolerates(t, taint) for t in tolerations)


def _tolerates(toleration: Json, taint: Json) -> bool:
    if (toleration.get("effect") or taint.get("effect")) != taint.get("effect"):
        return False
    if (toleration.get("key") or taint.get("key")) != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (
        taint.get("value") or ""
    )


def _shown(taint: Json) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or ()
    operator, held = expression.get("operator"), labels.get(expression.get("key", ""))
    if operator in {"Gt", "Lt"}:
        return _compared(str(held), str(next(iter(values), "")), is_less=operator == "Lt")
    return {
        "In": held is not None and held in values,
        "NotIn": held not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(str(operator), False)


def _compared(held: str, limit: str, *, is_less: bool) -> bool:
    if not (held.lstrip("-").isdecimal() and limit.lstrip("-").isdecimal()):
        return False
    return int(held) < int(limit) if is_less else int(held) > int(limit)
