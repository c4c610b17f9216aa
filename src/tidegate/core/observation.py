"""What an InferenceService and its revisions show, read from the API's dicts into typed values. Pure.

KServe's own `Ready` speaks of the newest revision, not of production, and `observedGeneration` is not the
InferenceService's, so nothing here relies on either alone. Unknown is never good.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tidegate.core.diagnosis import Diagnosis
from tidegate.core.isvc.components import COMPANIONS
from tidegate.core.manifest import CREATED_BY, MODEL_VERSION_LABEL, PERCENT

Json = Mapping[str, Any]

SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
LEGACY_MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One entry of the traffic list."""

    revision: str
    percent: int
    latest: bool
    tag: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition: "True", "False" or "Unknown"."""

    status: str = "Unknown"
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One Knative revision."""

    name: str
    storage_uri: str
    ready: Condition
    replicas: int
    labels: Mapping[str, str] = field(default_factory=dict)
    rollout: str = ""  # Standard mode: changes with the pod template, and with nothing else

    @property
    def version(self) -> str:
        """The registry version that tidegate labelled it with."""
        return self.labels.get(MODEL_VERSION_LABEL, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One entry of `spec.canary` (Standard mode), with what the status says of it."""

    percent: int
    predictor: dict[str, Any]
    is_ready: bool = False  # some replica is available, of whatever generation
    shown: int | None = None  # the percent that KServe has acted on

    @property
    def name(self) -> str:
        """Half of its Deployment's name."""
        return str(self.predictor.get("name", ""))

    @property
    def storage_uri(self) -> str:
        """What the entry asks for."""
        return str(self.predictor.get("model", {}).get("storageUri", ""))

    @property
    def replicas(self) -> int:
        """What the entry asks for; without a number, 0 % is no pod at all (PRED:861-870)."""
        return int(self.predictor.get("minReplicas", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """An InferenceService at one moment. `diagnosis`: why the newest revision is not ready, if it is not and
    that shows; `unseen`: what of its pods could not be read; `troubled`: the same of transformer and
    explainer, by their field."""

    uid: str
    resource_version: str
    deleting: bool
    mode: str
    predictor: dict[str, Any]
    annotations: Mapping[str, str]
    created: str
    ready: str
    rolled_out: str
    shares: tuple[Share, ...]
    conditions: Mapping[str, Condition]
    transition: str
    failure: str
    host: str
    revisions: Mapping[str, Revision]
    warnings: tuple[str, ...] = ()
    canary: tuple[Canary, ...] = ()
    companions: Mapping[str, Any] = field(
        default_factory=dict
    )  # transformer, explainer, as the spec says
    diagnosis: Diagnosis | None = None
    troubled: Mapping[str, Diagnosis] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    managers: tuple[str, ...] = ()  # who wrote fields of it, but for the status

    @property
    def created_by(self) -> str:
        """The release that created it; '' when tidegate did not."""
        return self.annotations.get(CREATED_BY, "")

    @property
    def storage_uri(self) -> str:
        """What the spec asks for."""
        return str(self.predictor.get("model", {}).get("storageUri", ""))

    @property
    def percent(self) -> int | None:
        """What the spec asks for."""
        return self.predictor.get(PERCENT)

    @property
    def template(self) -> dict[str, Any]:
        """The predictors without their percents: what revisions are made of."""
        kept = {key: value for key, value in self.predictor.items() if key != PERCENT}
        return {**kept, "canary": [c.predictor for c in self.canary]} if self.canary else kept

    @property
    def min_replicas(self) -> int:
        """What the spec asks for; KServe's own default is 1."""
        return int(self.predictor.get("minReplicas", 1))

    @property
    def pods(self) -> dict[str, int]:
        """Revision, or Deployment in Standard mode -> its pods; those without any are left out."""
        return {one.name: one.replicas for one in self.revisions.values() if one.replicas}

    @property
    def traffic(self) -> dict[str, int]:
        """Revision -> percent of production; revisions without a share are left out."""
        total: dict[str, int] = {}
        for share in self.shares:
            total[share.revision] = total.get(share.revision, 0) + share.percent
        return {revision: percent for revision, percent in total.items() if percent}

    @property
    def latest(self) -> Share | None:
        """The entry that follows the newest ready revision."""
        return next((share for share in self.shares if share.latest), None)

    @property
    def prev(self) -> Share | None:
        """The entry tagged `prev`: the last revision seen with all of `latest`."""
        return next((share for share in self.shares if share.tag == "prev"), None)

    @property
    def is_refused(self) -> bool:
        """KServe or Knative could not act on some spec; perhaps not on the one that is there now."""
        said = self.condition("PredictorReady")
        return self.transition == "InvalidSpec" or (said.status, said.reason) == (
            "False",
            "ReconcileFailed",
        )

    def condition(self, name: str) -> Condition:
        """A condition; Unknown when the status does not have it."""
        return self.conditions.get(name, Condition())

    def is_true(self, name: str) -> bool:
        """The condition is there and True."""
        return self.condition(name).status == "True"

    @property
    def unready(self) -> tuple[str, ...]:
        """The transformer and the explainer that do not say that they are ready."""
        return tuple(k for k in self.companions if not self.is_true(f"{k.capitalize()}Ready"))

    @property
    def is_whole(self) -> bool:
        """Transformer and explainer are ready, too: KServe's `Ready` is about predictor and ingress alone."""
        return not self.unready

    def is_healthy(self, revision: str) -> bool:
        """The revision says Ready; one that cannot be seen is not."""
        seen = self.revisions.get(revision)
        return seen is not None and seen.ready.status == "True"


def observe(
    isvc: Json, revisions: Iterable[Json] = (), warnings: Iterable[str] = ()
) -> Observation:
    """Read the API's objects."""
    metadata, status = isvc.get("metadata", {}), isvc.get("status") or {}
    component = status.get("components", {}).get("predictor", {})
    model = status.get("modelStatus", {})
    seen = [revision_of(item) for item in revisions]
    return Observation(
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        deleting=bool(metadata.get("deletionTimestamp")),
        mode=mode_of(isvc),
        predictor=dict(isvc.get("spec", {}).get("predictor", {})),
        annotations=metadata.get("annotations") or {},
        created=component.get("latestCreatedRevision", ""),
        ready=component.get("latestReadyRevision", ""),
        rolled_out=component.get("latestRolledoutRevision", ""),
        shares=tuple(_share(entry) for entry in component.get("traffic") or ()),
        conditions={c["type"]: condition_of(c) for c in status.get("conditions") or ()},
        transition=model.get("transitionStatus", ""),
        failure=model.get("lastFailureInfo", {}).get("message", ""),
        host=host_of(_url(isvc, status, component)),
        revisions={item.name: item for item in seen},
        warnings=tuple(warnings),
        labels=metadata.get("labels") or {},
        managers=tuple(_managers(metadata)),
        companions=companions_of(isvc),
    )


def companions_of(isvc: Json) -> dict[str, Any]:
    """The components of its own besides the predictor, by their field."""
    spec = isvc.get("spec", {})
    return {kind: spec[kind] for kind in COMPANIONS if spec.get(kind)}


def _url(isvc: Json, status: Json, component: Json) -> str:
    """Where the predictor itself is asked: the service's URL, unless a transformer stands before it."""
    own = str(component.get("url", ""))
    return own if "transformer" in companions_of(isvc) else str(status.get("url", ""))


def _managers(metadata: Json) -> Iterator[str]:
    for entry in metadata.get("managedFields") or ():
        if entry.get("subresource") != "status":
            yield entry.get("manager", "")


def revision_of(item: Json) -> Revision:
    """Read a Revision."""
    metadata, status = item.get("metadata", {}), item.get("status") or {}
    conditions = {c["type"]: condition_of(c) for c in status.get("conditions") or ()}
    return Revision(
        name=metadata.get("name", ""),
        storage_uri=(metadata.get("annotations") or {}).get(SOURCE_URI, ""),
        ready=conditions.get("Ready", Condition()),
        replicas=status.get("actualReplicas") or 0,
        labels=metadata.get("labels") or {},
    )


def mode_of(isvc: Json) -> str:
    """The mode that the cluster recorded, else the annotation; '' when neither says."""
    recorded = (isvc.get("status") or {}).get("deploymentMode", "")
    annotations = isvc.get("metadata", {}).get("annotations") or {}
    return modern(recorded or annotations.get("serving.kserve.io/deploymentMode", ""))


def modern(mode: str) -> str:
    """Today's name of a mode."""
    return LEGACY_MODES.get(mode, mode)


def _share(entry: Json) -> Share:
    return Share(
        revision=entry.get("revisionName", ""),
        percent=entry.get("percent") or 0,
        latest=bool(entry.get("latestRevision")),
        tag=entry.get("tag", ""),
        host=host_of(entry.get("url", "")),
    )


def condition_of(entry: Json) -> Condition:
    """Read a condition."""
    return Condition(
        status=entry.get("status", "Unknown"),
        reason=entry.get("reason", ""),
        message=entry.get("message", ""),
    )


def host_of(url: str) -> str:
    """Host and port of a URL."""
    return urlsplit(url).netloc


def own_host(seen: Observation) -> str:
    """The host that reaches the newest ready revision alone; without tag routing, everybody's."""
    return seen.latest.host if seen.latest and seen.latest.host else seen.host
