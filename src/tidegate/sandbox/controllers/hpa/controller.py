"""Kubernetes' HPA at work: every Deployment's number of pods, from what its pods use or an adapter says.

kubernetes/kubernetes pkg/controller/podautoscaler/horizontal.go (`reconcileAutoscaler`). A new or changed HPA
is looked at at once, and then once in a sync period.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidegate.sandbox.api.kinds import DEPLOYMENTS, HPAS, PODS, Json
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers.events import Events, Told
from tidegate.sandbox.controllers.hpa import limits, spec, status
from tidegate.sandbox.controllers.hpa.asking import External, Scene, asked
from tidegate.sandbox.controllers.hpa.limits import Memory
from tidegate.sandbox.controllers.hpa.rules import Flags, Proposal
from tidegate.sandbox.controllers.hpa.spec import Metric, ResourceMetric
from tidegate.sandbox.controllers.hpa.status import ABLE, ACTIVE, LIMITED, Said
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.controllers.replica_pods import replica_of
from tidegate.sandbox.interfaces import Key, ResourceMeter, Usage

_SCALE = "the HPA controller was unable to get the target's current scale: "


@dataclass(slots=True, kw_only=True)
class _Known:
    """One HPA as its controller remembers it."""

    due: float
    generation: int
    memory: Memory = field(default_factory=Memory)


class HpaController:
    """Decides for each HPA in its time; `external` raises UnmeasuredError for what it does not know."""

    def __init__(
        self, store: Store, clock: Callable[[], float], *, meter: ResourceMeter | None,
        external: External, flags: Flags,
    ) -> None:  # fmt: skip
        self._store, self._clock, self._meter = store, clock, meter
        self._external, self._flags = external, flags
        self._known: dict[str, _Known] = {}  # by uid
        self._events = Events(store, clock, "horizontal-pod-autoscaler")

    def reconcile(self) -> None:
        """One pass over all HPAs."""
        listed = self._store.items(HPAS)
        self._follow(listed)
        uids = {item["metadata"]["uid"] for item in listed}
        self._known = {uid: known for uid, known in self._known.items() if uid in uids}
        for item in listed:
            if self._is_due(item):
                self._look(item, listed)

    def _is_due(self, item: Json) -> bool:
        meta, now = item["metadata"], self._clock()
        known = self._known.get(meta["uid"])
        if known and known.generation == meta["generation"] and now < known.due:
            return False
        memory = known.memory if known else Memory()
        due = now + self._flags.sync_period_s
        self._known[meta["uid"]] = _Known(due=due, generation=meta["generation"], memory=memory)
        return True

    def _look(self, item: Json, listed: Sequence[Json]) -> None:
        said = Said(before=item.get("status") or {})
        namespace, _ = address(item)
        kind, name = spec.target(item)
        found = self._store.find(DEPLOYMENTS, namespace, name) if kind == "Deployment" else None
        if found is None:
            self._no_scale(item, said, f'deployments.apps "{name}" not found')
            return
        said.say(
            ABLE, "True", "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )  # fmt: skip
        pods = self._pods(found)
        used = {pod["metadata"]["name"]: self._usage(pod) for pod in pods}
        scene = Scene(hpa=item, deployment=found, pods=pods, used=used, said=said)
        if trouble := spec.trouble(item):
            said.unable("InvalidMetricSourceType", trouble)
            self._write(item, said, scene.current, scene.current)
            return
        self._decide(scene, others=_rivals(item, listed))

    def _no_scale(self, item: Json, said: Said, why: str) -> None:
        self._events.warn(item, "FailedGetScale", why)
        said.say(ABLE, "False", "FailedGetScale", f"{_SCALE}{why}")
        before = said.before
        self._write(
            item, said, before.get("currentReplicas", 0), before.get("desiredReplicas", 0)
        )  # fmt: skip

    def _decide(self, scene: Scene, *, others: Sequence[str]) -> None:
        known = self._known[scene.hpa["metadata"]["uid"]]
        bounds = spec.limits(scene.hpa, self._flags)
        current, now = scene.current, self._clock()
        if not known.memory.recommended:
            known.memory = Memory(recommended=((now, current),))
        if current == 0:
            scene.said.say(
                ACTIVE, "False", "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            )  # fmt: skip
            self._write(scene.hpa, scene.said, 0, 0)
        elif not bounds.low <= current <= bounds.high:
            where = "above Spec.MaxReplicas" if current > bounds.high else "below Spec.MinReplicas"
            near = min(max(current, bounds.low), bounds.high)
            self._scale(scene, bounds, near, f"Current number of replicas {where}")
        else:
            self._measure(scene, bounds, others)

    def _measure(self, scene: Scene, bounds: limits.Limits, others: Sequence[str]) -> None:
        """By the metrics, where they are known."""
        current, known = scene.current, self._known[scene.hpa["metadata"]["uid"]]
        found = self._proposal(scene, others)
        if found is None:
            self._write(scene.hpa, scene.said, current, scene.said.before.get("desiredReplicas", 0))
            return
        metric, proposal = found
        verdict, known.memory = limits.judged(
            bounds, known.memory, current=current, desired=proposal.replicas, now=self._clock()
        )
        scene.said.say(ABLE, "True", *verdict.able)
        scene.said.say(LIMITED, "True" if verdict.is_limited else "False", *verdict.limited)
        if verdict.replicas == current:
            self._write(scene.hpa, scene.said, current, current)
            return
        is_more = verdict.replicas > current
        why = f"{status.name_of(metric)} above target" if is_more else "All metrics below target"
        self._scale(scene, bounds, verdict.replicas, why)

    def _proposal(self, scene: Scene, others: Sequence[str]) -> tuple[Metric, Proposal] | None:
        """What the metrics ask for, and which of them asks for most; None where that is not known."""
        if others:
            scene.said.say(
                ACTIVE, "False", "AmbiguousSelector",
                f"pods by selector are controlled by more than one HPA (e.g. {', '.join(others)})",
            )  # fmt: skip
            return None
        found = asked(scene, self._external, self._clock(), self._flags)
        for reason, message in found.failures:
            self._events.warn(scene.hpa, reason, message)
        if found.most is None:
            scene.said.unable(*found.failures[0])
            return None
        name = status.name_of(found.most[0])
        scene.said.say(
            ACTIVE, "True", "ValidMetricFound",
            f"the HPA was able to successfully calculate a replica count from {name}",
        )  # fmt: skip
        return found.most

    def _scale(self, scene: Scene, bounds: limits.Limits, count: int, why: str) -> None:
        known, before = self._known[scene.hpa["metadata"]["uid"]], scene.current
        self._store.edit(
            DEPLOYMENTS, *address(scene.deployment),
            lambda old: old | {"spec": old["spec"] | {"replicas": count}},
        )  # fmt: skip
        known.memory = limits.scaled(
            bounds, known.memory, before=before, after=count, now=self._clock()
        )
        scene.said.say(
            ABLE, "True", "SucceededRescale",
            f"the HPA controller was able to update the target scale to {count}",
        )  # fmt: skip
        told = Told(
            reason="SuccessfulRescale", message=f"New size: {count}; reason: {why}", type="Normal"
        )
        self._events.tell(scene.hpa, told)
        self._write(scene.hpa, scene.said, before, count, moved=True)

    def _write(
        self, item: Json, said: Said, current: int, desired: int, *, moved: bool = False
    ) -> None:
        whole = said.whole(
            current=current, desired=desired, generation=item["metadata"]["generation"],
            stamp=timestamp(self._clock()), moved=moved,
        )  # fmt: skip
        self._store.write_status(HPAS, *address(item), whole)

    def _follow(self, listed: Sequence[Json]) -> None:
        """Only the pods of what is scaled by CPU or memory are measured."""
        if self._meter is None:
            return
        keys: set[Key] = set()
        for item in (one for one in listed if not spec.trouble(one)):
            if any(isinstance(one, ResourceMetric) for one in spec.metrics(item)):
                namespace, _ = address(item)
                found = self._store.find(DEPLOYMENTS, namespace, spec.target(item)[1])
                keys |= {_server(pod)[0] for pod in self._pods(found)} if found else set()
        self._meter.follow(keys)

    def _usage(self, pod: Json) -> Usage | None:
        key, replica = _server(pod)
        return self._meter.usage(*key, replica) if self._meter else None

    def _pods(self, deployment: Json) -> list[Json]:
        namespace, _ = address(deployment)
        wanted = deployment["spec"]["selector"]["matchLabels"].items()
        return [
            pod
            for pod in self._store.items(PODS, namespace)
            if wanted <= (pod["metadata"].get("labels") or {}).items()
        ]


def _server(pod: Json) -> tuple[Key, int]:
    """The template's key and the number of the server that a pod stands for."""
    meta = pod["metadata"]
    owner = next((o["name"] for o in meta.get("ownerReferences") or ()), "")
    return (meta["namespace"], owner), replica_of(meta["name"])


def _rivals(item: Json, listed: Sequence[Json]) -> list[str]:
    """Other HPAs of the same target."""
    mine = (address(item)[0], spec.target(item))
    others = [one for one in listed if (address(one)[0], spec.target(one)) == mine]
    return [address(one)[1] for one in others] if len(others) > 1 else []
