"""Which pods a release holds at once. Pure.

Blue and green stand together, a dedicated baseline beside them during the load test, and in Knative mode a
third set while a roll-back repairs the spec. In Standard mode KServe lowers the incumbent's floor by the pods
of a ready canary (`components/predictor.go` 877-900), so fewer may do than are usual. A transformer and an
explainer of its own come up with a first release, and are there already when another one begins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.core.isvc.components import companions
from tidegate.core.manifest import predictor
from tidegate.core.room.placing import Group
from tidegate.core.room.shape import Shape, of_component
from tidegate.policy import Policy

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Pods that stand together: the incumbent's, and those of this release."""

    incumbent: int
    own: int

    @property
    def pods(self) -> int:
        """All of them."""
        return self.incumbent + self.own


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a release holds. Below `least` the new revision cannot be scheduled, whatever else there is.
    `beside`: the pods of its other components."""

    together: str  # in words
    own: Shape
    incumbent: Shape
    least: tuple[Moment, ...]
    usual: tuple[Moment, ...]
    repair: tuple[Moment, ...]
    beside: tuple[Group, ...] = ()

    @classmethod
    def over(cls, policy: Policy, incumbent: Json | None, mode: str) -> "Demand":
        """Of a release over this predictor; None = one like the policy's own."""
        floor, beside = max(policy.serving.min_replicas, 1), policy.load.baseline == "dedicated"
        pods = _floor(incumbent, floor)
        named = "incumbent, candidate and dedicated baseline"
        held = _rendered(policy) if incumbent is None else incumbent
        least, usual, repair = _moments(mode, pods, floor, beside=beside)
        return cls(
            together=named if beside else "incumbent and candidate",
            own=of_component(_rendered(policy)),
            incumbent=of_component(held, stands=True),
            least=least,
            usual=usual,
            repair=repair,
        )

    @classmethod
    def of_first(cls, policy: Policy, *, preview: bool) -> "Demand":
        """Of a first release: alone, or while the real one comes up beside its preview."""
        times, own = 1 + preview, of_component(_rendered(policy))
        held = (Moment(incumbent=0, own=max(policy.serving.min_replicas, 1) * times),)
        together = "the preview and the real one" if preview else "its pods"
        made = ((of_component(one), times * _floor(one, 1)) for one in companions(policy).values())
        return cls(
            together=together, own=own, incumbent=own, least=held, usual=held, repair=held,
            beside=tuple(made),
        )  # fmt: skip

    def groups(self, moment: Moment) -> tuple[Group, ...]:
        """Every pod of the moment."""
        return (self.incumbent, moment.incumbent), (self.own, moment.own), *self.beside

    def pods(self, moment: Moment) -> int:
        """How many they are."""
        return moment.pods + sum(count for _, count in self.beside)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Every kind of pod that is new."""
        return (self.own, *(shape for shape, _ in self.beside))


def _rendered(policy: Policy) -> Json:
    return predictor(policy, "", "").as_dict()


def _moments(
    mode: str, pods: int, floor: int, *, beside: bool
) -> tuple[tuple[Moment, ...], tuple[Moment, ...], tuple[Moment, ...]]:
    """Least, usual, repair. `pods`: of the incumbent, as many as a canary has with all of the traffic."""
    if mode == "Knative":
        both = (Moment(incumbent=pods, own=floor * (1 + beside)),)
        return both, both, (Moment(incumbent=2 * pods, own=floor),)
    dark = Moment(incumbent=pods, own=1 + beside)
    usual = (dark, Moment(incumbent=pods, own=pods))
    least = (dark, Moment(incumbent=0, own=max(floor, pods)))
    return least, usual, usual


def _floor(component: Json | None, otherwise: int) -> int:
    """Its pods at least; one at zero is woken before the release begins."""
    if component is None:
        return otherwise
    return max(int(component.get("minReplicas", 1)), 1)
