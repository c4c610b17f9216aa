"""KEDA at work: a ScaledObject is Ready with its Deployment, gets its HPA, and is asked in its time.

kedacore/keda controllers/keda/scaledobject_controller.go (`reconcileScaledObject`) and pkg/scaling/
scale_handler.go. Whatever `serverAddress` says, the sandbox's one Prometheus is asked; without any
(`queries`) nothing is asked or scaled. That KEDA looks for a missing Deployment again only after its back-off
is not emulated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.errors import TidegateError
from tidegate.sandbox.api import metadata
from tidegate.sandbox.api.kinds import DEPLOYMENTS, SCALEDOBJECTS, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.hpa.rules import UnmeasuredError
from tidegate.sandbox.controllers.keda import horizontal, rules
from tidegate.sandbox.controllers.keda.rules import Answer, Standing, Trigger
from tidegate.sandbox.controllers.objects import address, ensure
from tidegate.sandbox.interfaces import PrometheusQueries

READY = rules.READY
MISSING = "ScaledObject doesn't have correct scaleTargetRef specification"


@dataclass(slots=True, kw_only=True)
class _Known:
    """One ScaledObject as it was asked last."""

    due: float = 0.0
    generation: int = 0
    last_active: float | None = None
    said: list[Condition] = field(default_factory=list)


class KedaController:
    """Conditions, HPAs, the step from none to the first pod and back, and the metrics that HPAs ask for."""

    def __init__(
        self, store: Store, clock: Callable[[], float], queries: PrometheusQueries | None
    ) -> None:
        self._store, self._clock, self._queries = store, clock, queries
        self._known: dict[str, _Known] = {}  # by uid

    def reconcile(self) -> None:
        """One pass over all ScaledObjects."""
        listed = self._store.items(SCALEDOBJECTS)
        uids = {item["metadata"]["uid"] for item in listed}
        self._known = {uid: known for uid, known in self._known.items() if uid in uids}
        for item in listed:
            self._reconcile(item)

    def value(self, namespace: str, metric: str, labels: Mapping[str, str]) -> float:
        """What an HPA is told of an external metric; raises UnmeasuredError where that is not known."""
        where = f"unable to get external metric {namespace}/{metric}/{dict(labels)}"
        item = self._store.find(SCALEDOBJECTS, namespace, labels.get(horizontal.BY, ""))
        try:
            found = {one.metric: one for one in rules.triggers(item or {})}
            if metric not in found:
                raise UnmeasuredError(f"{where}: no matching metrics found for {metric}")
            return rules.known(self._asked(found[metric]))
        except (ValueError, UnmeasuredError) as error:
            raise UnmeasuredError(f"{where}: {error}") from error

    def _reconcile(self, item: Json) -> None:
        namespace, _ = address(item)
        deployment = self._store.find(DEPLOYMENTS, namespace, _target(item))
        if deployment is None:
            self._write(item, [_not_ready(MISSING)], {})
            return
        try:
            listed, pace = rules.triggers(item), rules.pace(item)
            hpa = ensure(self._store, horizontal.wanted(item, listed))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._write(item, [_not_ready(str(error))], {})
            return
        known = self._known.setdefault(item["metadata"]["uid"], _Known())
        if self._is_due(item, known, interval_s=pace[0]):
            standing = Standing(
                low=item["spec"].get("minReplicaCount") or 0, cooldown_s=pace[1],
                current=int(deployment["spec"].get("replicas", 1)),
                last_active=known.last_active, now=self._clock(),
            )  # fmt: skip
            self._poll(item, known, listed, standing)
        more: Json = {
            "hpaName": address(hpa)[1],
            "externalMetricNames": [one.metric for one in listed],
        }
        if known.last_active is not None:
            more["lastActiveTime"] = metadata.timestamp(known.last_active)
        self._write(item, known.said, more)

    def _is_due(self, item: Json, known: _Known, *, interval_s: float) -> bool:
        """In each polling interval, and at once when the object has changed."""
        now, generation = self._clock(), item["metadata"]["generation"]
        if known.generation == generation and now < known.due:
            return False
        known.generation, known.due = generation, now + interval_s
        return True

    def _poll(
        self, item: Json, known: _Known, listed: Sequence[Trigger], standing: Standing
    ) -> None:  # fmt: skip
        answers = [self._asked(one) for one in listed] if self._queries else []
        known.said, pods = rules.polled(standing, answers)
        if any(one.is_active for one in answers):
            known.last_active = standing.now
        if pods is not None and answers:
            self._scale(item, pods)

    def _asked(self, trigger: Trigger) -> Answer:
        if self._queries is None:
            return Answer(metric=trigger.metric, trouble="no Prometheus is here")
        try:
            return rules.answered(trigger, self._queries.ask(trigger.query))
        except TidegateError as error:
            return Answer(metric=trigger.metric, trouble=str(error))

    def _scale(self, item: Json, pods: int) -> None:
        self._store.edit(
            DEPLOYMENTS, address(item)[0], _target(item),
            lambda old: old | {"spec": old["spec"] | {"replicas": pods}},
        )  # fmt: skip

    def _write(self, item: Json, said: Sequence[Condition], more: Json) -> None:
        before = item.get("status") or {}
        stamp = metadata.timestamp(self._clock())
        whole = before | more | {"conditions": conditions.as_json(said, before, stamp)}
        self._store.write_status(SCALEDOBJECTS, *address(item), whole)


def _not_ready(message: str) -> Condition:
    return Condition(
        type="Ready", status="False", reason="ScaledObjectCheckFailed", message=message
    )


def _target(item: Json) -> str:
    """The Deployment's name; nothing of an object that names none: the API here has no schema of it."""
    found = (item.get("spec") or {}).get("scaleTargetRef")
    return str(found.get("name", "")) if isinstance(found, dict) else ""
