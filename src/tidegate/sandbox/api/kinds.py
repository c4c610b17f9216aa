"""The table of kinds that the emulated API serves; what differs between kinds is said here, as data.

No verb knows a kind. A new kind is a new row.
"""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]  # an object as it travels; the store's unit


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column; `path` is a dotted path, `key[field=value]` picks an item of a list."""

    name: str
    path: str
    type: str = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One row: how a kind is named, addressed, versioned and printed."""

    group: str
    version: str
    plural: str
    kind: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = True  # a /status subresource, and metadata.generation counts spec changes
    columns: tuple[Column, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The name in messages: `services.serving.knative.dev`, or `pods` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def is_custom(self) -> bool:
        """Comes from a CRD: no strategic merge, and unknown fields are judged by its schema."""
        return self.group in {
            "serving.kserve.io",
            "serving.knative.dev",
            "gateway.networking.k8s.io",
            "networking.istio.io",
            "argoproj.io",
            "keda.sh",
            "monitoring.coreos.com",
        }


READY = Column("Ready", "status.conditions[type=Ready].status")
REASON = Column("Reason", "status.conditions[type=Ready].reason")
URL = Column("URL", "status.url")
_TRAFFIC = "status.components.predictor.traffic"

NAMESPACES = Kind(
    group="", version="v1", plural="namespaces", kind="Namespace", short_names=("ns",),
    namespaced=False, columns=(Column("Status", "status.phase"),),
)  # fmt: skip
NODES = Kind(
    group="", version="v1", plural="nodes", kind="Node", short_names=("no",), namespaced=False
)
PODS = Kind(
    categories=("all",), group="", version="v1", plural="pods", kind="Pod", short_names=("po",),
    columns=(
        Column("Status", "status.phase"),
        Column("Restarts", "status.containerStatuses[name=kserve-container].restartCount", "integer"),
    ),
)  # fmt: skip
EVENTS = Kind(
    group="", version="v1", plural="events", kind="Event", short_names=("ev",), has_status=False,
    columns=(
        Column("Type", "type"), Column("Reason", "reason"),
        Column("Object", "involvedObject.name"), Column("Message", "message"),
    ),
)  # fmt: skip
CONFIGMAPS = Kind(
    group="", version="v1", plural="configmaps", kind="ConfigMap", short_names=("cm",), has_status=False
)  # fmt: skip
SECRETS = Kind(group="", version="v1", plural="secrets", kind="Secret", has_status=False)
CLAIMS = Kind(
    group="", version="v1", plural="persistentvolumeclaims", kind="PersistentVolumeClaim",
    short_names=("pvc",), columns=(Column("Status", "status.phase"),),
)  # fmt: skip
SERVICEACCOUNTS = Kind(
    group="", version="v1", plural="serviceaccounts", kind="ServiceAccount", short_names=("sa",),
    has_status=False,
)  # fmt: skip
SERVICES = Kind(
    categories=("all",),
    group="",
    version="v1",
    plural="services",
    kind="Service",
    short_names=("svc",),
)
DEPLOYMENTS = Kind(
    categories=("all",),
    group="apps",
    version="v1",
    plural="deployments",
    kind="Deployment",
    short_names=("deploy",),
    columns=(
        Column("Desired", "spec.replicas", "integer"),
        Column("Ready", "status.readyReplicas", "integer"),
        Column("Up-to-date", "status.updatedReplicas", "integer"),
        Column("Available", "status.availableReplicas", "integer"),
    ),
)
REPLICASETS = Kind(
    categories=("all",), group="apps", version="v1", plural="replicasets", kind="ReplicaSet",
    short_names=("rs",),
    columns=(
        Column("Desired", "spec.replicas", "integer"),
        Column("Current", "status.replicas", "integer"),
        Column("Ready", "status.readyReplicas", "integer"),
    ),
)  # fmt: skip
HPAS = Kind(
    categories=("all",), group="autoscaling", version="v2", plural="horizontalpodautoscalers",
    kind="HorizontalPodAutoscaler", short_names=("hpa",),
    columns=(
        Column("Reference", "spec.scaleTargetRef.name"),
        Column("MinPods", "spec.minReplicas", "integer"),
        Column("MaxPods", "spec.maxReplicas", "integer"),
        Column("Replicas", "status.currentReplicas", "integer"),
    ),
)  # fmt: skip
JOBS = Kind(
    categories=("all",), group="batch", version="v1", plural="jobs", kind="Job",
    columns=(
        Column("Active", "status.active", "integer"),
        Column("Succeeded", "status.succeeded", "integer"),
        Column("Failed", "status.failed", "integer"),
    ),
)  # fmt: skip
INGRESSES = Kind(
    group="networking.k8s.io", version="v1", plural="ingresses", kind="Ingress", short_names=("ing",)
)  # fmt: skip
HTTPROUTES = Kind(
    group="gateway.networking.k8s.io", version="v1", plural="httproutes", kind="HTTPRoute",
    columns=(Column("Hostnames", "spec.hostnames"),),
)  # fmt: skip
LEASES = Kind(
    group="coordination.k8s.io", version="v1", plural="leases", kind="Lease", has_status=False,
    columns=(Column("Holder", "spec.holderIdentity"),),
)  # fmt: skip
CRDS = Kind(
    group="apiextensions.k8s.io", version="v1", plural="customresourcedefinitions",
    kind="CustomResourceDefinition", short_names=("crd", "crds"), namespaced=False,
)  # fmt: skip
INFERENCESERVICES = Kind(
    group="serving.kserve.io", version="v1beta1", plural="inferenceservices",
    kind="InferenceService", short_names=("isvc",),
    columns=(
        URL, READY,
        Column("Prev", f"{_TRAFFIC}[tag=prev].percent", "integer"),
        Column("Latest", f"{_TRAFFIC}[latestRevision=true].percent", "integer"),
        Column("PrevRolledoutRevision", f"{_TRAFFIC}[tag=prev].revisionName"),
        Column("LatestReadyRevision", f"{_TRAFFIC}[latestRevision=true].revisionName"),
    ),
)  # fmt: skip
SERVINGRUNTIMES = Kind(
    group="serving.kserve.io", version="v1alpha1", plural="servingruntimes", kind="ServingRuntime"
)
CLUSTERSERVINGRUNTIMES = Kind(
    group="serving.kserve.io", version="v1alpha1", plural="clusterservingruntimes",
    kind="ClusterServingRuntime", namespaced=False,
)  # fmt: skip
KSERVICES = Kind(
    categories=("all",), group="serving.knative.dev", version="v1", plural="services",
    kind="Service",
    short_names=("kservice", "ksvc"),
    columns=(
        URL, Column("LatestCreated", "status.latestCreatedRevisionName"),
        Column("LatestReady", "status.latestReadyRevisionName"), READY, REASON,
    ),
)  # fmt: skip
CONFIGURATIONS = Kind(
    categories=("all",), group="serving.knative.dev", version="v1", plural="configurations",
    kind="Configuration",
    short_names=("config", "cfg"),
    columns=(
        Column("LatestCreated", "status.latestCreatedRevisionName"),
        Column("LatestReady", "status.latestReadyRevisionName"), READY, REASON,
    ),
)  # fmt: skip
REVISIONS = Kind(
    categories=("all",), group="serving.knative.dev", version="v1", plural="revisions",
    kind="Revision",
    short_names=("rev",),
    columns=(
        READY, REASON, Column("Actual Replicas", "status.actualReplicas", "integer"),
        Column("Desired Replicas", "status.desiredReplicas", "integer"),
    ),
)  # fmt: skip
ROUTES = Kind(
    categories=("all",), group="serving.knative.dev", version="v1", plural="routes",
    kind="Route", short_names=("rt",),
    columns=(URL, READY, REASON),
)  # fmt: skip
VIRTUALSERVICES = Kind(
    group="networking.istio.io", version="v1beta1", plural="virtualservices",
    kind="VirtualService", short_names=("vs",), has_status=False,
    columns=(Column("Gateways", "spec.gateways"), Column("Hosts", "spec.hosts")),
)  # fmt: skip

# No controller of ours runs these; they are kept as somebody wrote them.
WORKFLOWS = Kind(
    group="argoproj.io", version="v1alpha1",
    plural="workflows", kind="Workflow", short_names=("wf",), has_status=False,
    columns=(Column("Status", "status.phase"),),
)  # fmt: skip
WORKFLOWTEMPLATES = Kind(
    group="argoproj.io", version="v1alpha1",
    plural="workflowtemplates", kind="WorkflowTemplate", short_names=("wftmpl",),
    has_status=False,
)  # fmt: skip
CLUSTERWORKFLOWTEMPLATES = Kind(
    group="argoproj.io", version="v1alpha1",
    plural="clusterworkflowtemplates", kind="ClusterWorkflowTemplate",
    short_names=("cwft",), namespaced=False, has_status=False,
)  # fmt: skip
CRONWORKFLOWS = Kind(
    group="argoproj.io",
    version="v1alpha1",
    plural="cronworkflows",
    kind="CronWorkflow",
    short_names=("cwf",),
    has_status=False,
)
INFERENCEGRAPHS = Kind(
    group="serving.kserve.io", version="v1alpha1", plural="inferencegraphs",
    kind="InferenceGraph", short_names=("ig",), columns=(URL, READY),
)  # fmt: skip
SCALEDOBJECTS = Kind(
    group="keda.sh", version="v1alpha1", plural="scaledobjects", kind="ScaledObject",
    short_names=("so",),
)  # fmt: skip
PODMONITORS = Kind(
    group="monitoring.coreos.com", version="v1", plural="podmonitors", kind="PodMonitor",
    short_names=("pmon",), has_status=False,
)  # fmt: skip
SERVICEMONITORS = Kind(
    group="monitoring.coreos.com", version="v1", plural="servicemonitors", kind="ServiceMonitor",
    short_names=("smon",), has_status=False,
)  # fmt: skip

ALL: tuple[Kind, ...] = (
    NAMESPACES, NODES, PODS, EVENTS, CONFIGMAPS, SECRETS, CLAIMS, SERVICEACCOUNTS, SERVICES,
    DEPLOYMENTS, REPLICASETS, HPAS, JOBS, INGRESSES, HTTPROUTES, LEASES, CRDS, INFERENCESERVICES,
    SERVINGRUNTIMES,
    CLUSTERSERVINGRUNTIMES, KSERVICES, CONFIGURATIONS, REVISIONS, ROUTES, VIRTUALSERVICES, WORKFLOWS,
    WORKFLOWTEMPLATES, CLUSTERWORKFLOWTEMPLATES, CRONWORKFLOWS, INFERENCEGRAPHS, SCALEDOBJECTS,
    PODMONITORS, SERVICEMONITORS,
)  # fmt: skip


def find(group: str, version: str, plural: str) -> Kind | None:
    """The row at an address, or None."""
    return next(
        (k for k in ALL if (k.group, k.version, k.plural) == (group, version, plural)), None
    )
