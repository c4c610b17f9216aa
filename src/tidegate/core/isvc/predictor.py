"""`spec.predictor`: the model, its runtime, its place, and what shares its pod. Pure."""

from typing import Any

from pydantic import Field

from tidegate.core.isvc.components import collocated
from tidegate.core.isvc.scaling import AutoScaling, fields, template_annotations
from tidegate.core.isvc.typed import (
    Container,
    EnvVar,
    HttpGet,
    Json,
    Port,
    Probe,
    Typed,
    environment,
)
from tidegate.core.kserve_server import source_of
from tidegate.policy import Policy
from tidegate.policy.serving import EVENT_SOURCE, TRITON, Placement, Serving

MODEL_VERSION_LABEL = "tidegate.dev/model-version"
KEEP_WARM = "autoscaling.knative.dev/scale-to-zero-pod-retention-period"
H2C = Port(name="h2c", container_port=9000)  # the gRPC port of KServe's and our own Triton runtime


class ModelFormat(Typed):
    """Which runtime family reads the folder."""

    name: str = TRITON
    version: str | None = None


class Storage(Typed):
    """Credentials of the storage, by an entry of the Secret storage-config."""

    key: str


class ServedModel(Typed):
    """`spec.predictor.model`."""

    model_format: ModelFormat = Field(default_factory=ModelFormat)
    runtime: str | None = None
    runtime_version: str | None = None
    protocol_version: str = "v2"
    storage_uri: str
    storage: Storage | None = None
    args: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] | None = None
    ports: tuple[Port, ...] | None = None
    resources: dict[str, dict[str, str]] | None = None
    readiness_probe: Probe | None = None


class Batcher(Typed):
    """The agent's batching of v1 requests; maxLatency in ms, timeout in s."""

    max_batch_size: int
    max_latency: int
    timeout: int


class Logger(Typed):
    """The agent's log of requests and answers."""

    url: str
    mode: str
    metadata_headers: tuple[str, ...] | None = None


class Predictor(Typed):
    """`spec.predictor`: an inline PodSpec beside the model's own fields."""

    name: str | None = None  # Standard mode: half of its Deployment's name
    service_account_name: str | None = None
    min_replicas: int
    max_replicas: int
    scale_metric: str | None = None
    scale_target: int | None = None
    auto_scaling: AutoScaling | None = None
    container_concurrency: int | None = None
    timeout: int
    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    node_selector: dict[str, str] | None = None
    affinity: dict[str, Any] | None = None
    tolerations: tuple[dict[str, str], ...] | None = None
    topology_spread_constraints: tuple[dict[str, Any], ...] | None = None
    runtime_class_name: str | None = None
    scheduler_name: str | None = None
    priority_class_name: str | None = None
    batcher: Batcher | None = None
    logger: Logger | None = None
    model: ServedModel
    containers: tuple[Container, ...] | None = None


def predictor(policy: Policy, storage_uri: str, version: str) -> Predictor:
    """The predictor that the policy asks for."""
    serving = policy.serving
    return Predictor(
        service_account_name=serving.service_account or None,
        min_replicas=serving.min_replicas,
        max_replicas=serving.max_replicas,
        container_concurrency=serving.concurrency or None,
        timeout=serving.timeout_s,
        labels={**serving.labels, MODEL_VERSION_LABEL: version},
        annotations=_annotations(policy) or None,
        batcher=_batcher(serving),
        logger=_logger(serving),
        model=_model(policy, storage_uri, version),
        containers=collocated(serving.transformer),
        **fields(serving.scaling, policy.name, policy.namespace),
        **_placed(placement_of(serving)),
    )


def _annotations(policy: Policy) -> dict[str, str]:
    """On the revision, so it is this one that stays warm when the next release takes its place."""
    kept = policy.traffic.keep_warm_s
    warm = {KEEP_WARM: f"{kept}s"} if kept else {}
    return {**template_annotations(policy.serving.scaling), **warm}


def _model(policy: Policy, storage_uri: str, version: str) -> ServedModel:
    """Knative takes a probe on the container with the port alone; a sidecar's needs a flag of its own."""
    serving = policy.serving
    within = serving.transformer and serving.transformer.collocated
    is_grpc = serving.port == "grpc"
    ready = HttpGet() if serving.protocol == "v2" else HttpGet(path="/")
    return ServedModel(
        model_format=ModelFormat(name=serving.format, version=serving.format_version or None),
        runtime=serving.served_by or None,
        runtime_version=serving.runtime_version or None,
        protocol_version="grpc-v2" if is_grpc else serving.protocol,
        storage_uri=storage_uri,
        storage=Storage(key=serving.storage_key) if serving.storage_key else None,
        args=(*_named(policy), *serving.args) or None,
        env=environment({**serving.env, **_telling(policy, version)}),
        ports=(H2C,) if is_grpc else None,
        resources=serving.sizes or None,
        readiness_probe=None if within else Probe(http_get=ready),
    )


def _named(policy: Policy) -> tuple[str, ...]:
    """A preview and a dedicated baseline are other services of the same model, and KServe's own runtimes name
    the model by the service ({{.Name}}); of two such arguments the later one counts."""
    return (f"--model_name={policy.triton_model}",) if policy.serving.by_kserve else ()


def _telling(policy: Policy, version: str) -> dict[str, str]:
    """By what KServe's own servers, whose answers name no version, tell it all the same."""
    known = policy.serving.by_kserve
    return {EVENT_SOURCE: source_of(policy.triton_model, version)} if known else {}


def placement_of(serving: Serving) -> Placement:
    """The policy's own, and the GPU's product as a label of the node."""
    gpu = serving.gpu
    if not gpu or not gpu.product:
        return serving.placement
    selected = {"nvidia.com/gpu.product": gpu.product, **serving.placement.node_selector}
    return serving.placement.model_copy(update={"node_selector": selected})


def _placed(placement: Placement) -> Json:
    return {
        "node_selector": placement.node_selector or None,
        "affinity": placement.affinity or None,
        "tolerations": tuple(
            {k: v for k, v in one.model_dump().items() if v} for one in placement.tolerations
        )
        or None,
        "topology_spread_constraints": placement.topology_spread or None,
        "runtime_class_name": placement.runtime_class or None,
        "scheduler_name": placement.scheduler or None,
        "priority_class_name": placement.priority_class or None,
    }


def _batcher(serving: Serving) -> Batcher | None:
    held = serving.batcher
    if held is None:
        return None
    return Batcher(
        max_batch_size=held.max_batch_size, max_latency=held.max_latency_ms, timeout=held.timeout_s
    )


def _logger(serving: Serving) -> Logger | None:
    held = serving.logger
    if held is None:
        return None
    return Logger(url=held.url, mode=held.mode, metadata_headers=held.metadata_headers or None)
