"""How many pods with a GPU a release holds at once, and how many of them the nodes could take. Pure.

Blue and green stand together, a dedicated baseline beside them during the load test, and in Knative mode a
third set while a roll-back repairs the spec. In Standard mode KServe lowers the incumbent's floor by the pods
of a ready canary (`components/predictor.go` 877-900), so fewer may do than are usual.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.policy import Policy

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Pods that stand together: the incumbent's, and those of this release."""

    incumbent: int
    own: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a release holds. Below `least` the new revision cannot be scheduled, whatever else there is."""

    together: str  # in words
    least: tuple[Moment, ...]
    usual: tuple[Moment, ...]
    repair: tuple[Moment, ...]
    each: int = 1  # GPUs of one pod of the incumbent
    is_pinned: bool = True  # the incumbent runs on such nodes alone as the candidate may

    @classmethod
    def over(cls, policy: Policy, incumbent: Json | None, mode: str) -> "Demand":
        """Of a release over this predictor; None = one like the policy's own."""
        floor, beside = max(policy.serving.min_replicas, 1), policy.load.baseline == "dedicated"
        pods, each = (floor, _each(policy)) if incumbent is None else _held(incumbent, policy)
        named = "incumbent, candidate and dedicated baseline"
        return cls(
            together=named if beside else "incumbent and candidate",
            each=each,
            is_pinned=incumbent is None
            or (each >= _each(policy) and _is_pinned(incumbent, policy)),
            **_moments(mode, pods, floor, _floor(incumbent, floor), beside=beside),
        )

    @classmethod
    def of_first(cls, policy: Policy, *, preview: bool) -> "Demand":
        """Of a first release: alone, or while the real one comes up beside its preview."""
        floor = max(policy.serving.min_replicas, 1)
        held = (Moment(incumbent=0, own=floor * (1 + preview)),)
        together = "the preview and the real one" if preview else "its pods"
        return cls(together=together, least=held, usual=held, repair=held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """The nodes that fit a pod of the release, and those that offer the same GPU and do not."""

    here: Sequence[int]  # GPUs of each
    elsewhere: Sequence[int]
    each: int  # GPUs of one pod of the release

    @property
    def pods(self) -> int:
        """A pod's GPUs are all of one node."""
        return sum(gpus // self.each for gpus in self.here)

    def needed(self, demand: Demand, moments: Sequence[Moment]) -> int:
        """Pods of this release's size at the fullest moment, at least: the incumbent stands elsewhere where
        it may."""
        return max(one.own + self._taken(one.incumbent, demand) for one in moments)

    def _taken(self, pods: int, demand: Demand) -> int:
        away = 0 if demand.is_pinned else sum(gpus // demand.each for gpus in self.elsewhere)
        left = max(pods - away, 0)
        if demand.each == self.each:
            return left
        return max(self.pods - (sum(self.here) - left * demand.each) // self.each, 0)


def _moments(
    mode: str, pods: int, floor: int, share: int, *, beside: bool
) -> dict[str, tuple[Moment, ...]]:
    """`pods`: of the incumbent on this GPU; `share`: as many as a canary has with all of the traffic."""
    if mode == "Knative":
        both = (Moment(incumbent=pods, own=floor * (1 + beside)),)
        return {"least": both, "usual": both, "repair": (Moment(incumbent=2 * pods, own=floor),)}
    dark = Moment(incumbent=pods, own=1 + beside)
    full = Moment(incumbent=pods, own=share)
    usual = (dark, full)
    least = (dark, Moment(incumbent=0, own=max(floor, share)))
    return {"least": least, "usual": usual, "repair": usual}


def _each(policy: Policy) -> int:
    gpu = policy.serving.gpu
    assert gpu is not None  # who asks has one
    return gpu.count


def _held(predictor: Json, policy: Policy) -> tuple[int, int]:
    """Pods of the incumbent that hold the very resource that is asked for, and how many each."""
    gpu = policy.serving.gpu
    assert gpu is not None  # who asks has one
    model = predictor.get("model") or {}
    limits = (model.get("resources") or {}).get("limits") or {}
    each = str(limits.get(gpu.resource, "0"))
    if not each.isdecimal() or each == "0":
        return 0, 1
    return _floor(predictor, 1), int(each)


def _floor(predictor: Json | None, otherwise: int) -> int:
    """Its pods at least; one at zero is woken before the release begins."""
    if predictor is None:
        return otherwise
    return max(int(predictor.get("minReplicas", 1)), 1)


def _is_pinned(predictor: Json, policy: Policy) -> bool:
    """It selects at least the labels that the candidate selects. A compute capability is in no manifest."""
    gpu = policy.serving.gpu
    assert gpu is not None  # who asks has one
    held = predictor.get("nodeSelector") or {}
    product = {"nvidia.com/gpu.product": gpu.product} if gpu.product else {}
    wanted = {**product, **policy.serving.placement.node_selector}
    return not gpu.min_compute_capability and wanted.items() <= held.items()
