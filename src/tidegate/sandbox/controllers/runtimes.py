"""Which serving runtime an InferenceService gets, and why it may get none. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.policy.serving import OWN_RUNTIME, SERVERS
from tidegate.sandbox.api.kinds import Json

KSERVES_RUNTIME = "kserve-tritonserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRuntime:
    """No runtime will do; `reason` is one of KServe's `lastFailureInfo` reasons."""

    reason: str
    message: str


def choose(model: Json, runtimes: Sequence[Json], namespace: str) -> Json | NoRuntime:
    """The named runtime, or the first that auto-selects the model's format and protocol."""
    name = model.get("runtime")
    if name:
        named = [r for r in runtimes if r["metadata"]["name"] == name]
        if not named:
            text = f"No ServingRuntimes or ClusterServingRuntimes with the name: {name}"
            return NoRuntime(reason="RuntimeNotRecognized", message=text)
        return _enabled(named[0], str(name))
    fits = [r for r in runtimes if _fits(r["spec"], model)]
    if not fits:
        wanted = (
            f"{model.get('modelFormat')} and protocol {_protocol(model)} in namespace {namespace}"
        )
        text = f"no runtime found to support predictor with model type: {wanted}"
        return NoRuntime(reason="NoSupportingRuntime", message=text)
    return fits[0]


def _enabled(runtime: Json, name: str) -> Json | NoRuntime:
    if runtime["spec"].get("disabled"):
        return NoRuntime(reason="RuntimeDisabled", message=f"specified runtime {name} is disabled")
    return runtime


def _protocol(model: Json) -> str:
    return str(model.get("protocolVersion") or "v1")  # v1 also for onnx: KServe's own default


def _fits(spec: Json, model: Json) -> bool:
    wanted = (model.get("modelFormat") or {}).get("name", "")
    formats = spec.get("supportedModelFormats") or []
    known = any(f["name"] == wanted and f.get("autoSelect") for f in formats)
    return known and not spec.get("disabled") and _protocol(model) in spec["protocolVersions"]


def pinned(image: str) -> Json:
    """tidegate's own runtime, which only those get who name it (deploy/base/serving-runtime.yaml)."""
    found = triton(image)
    formats = [{"name": "triton", "version": "2"}]
    spec = found["spec"] | {"supportedModelFormats": formats}
    return {"metadata": {"name": OWN_RUNTIME}, "spec": spec}


def triton(image: str) -> Json:
    """KServe's own runtime, a ClusterServingRuntime."""
    names = ("tensorrt", "tensorflow", "onnx", "triton")
    formats = [
        {"name": n, "version": "2" if n == "triton" else "1", "autoSelect": True} for n in names
    ]
    args = [
        "tritonserver", "--model-store=/mnt/models", "--grpc-port=9000", "--http-port=8080",
        "--allow-grpc=true", "--allow-http=true",
    ]  # fmt: skip
    container = {"name": "kserve-container", "image": image, "args": args}
    return {
        "metadata": {"name": KSERVES_RUNTIME},
        "spec": {
            "annotations": {
                "prometheus.kserve.io/port": "8002",
                "prometheus.kserve.io/path": "/metrics",
            },
            "supportedModelFormats": [*formats, {"name": "pytorch", "version": "1"}],
            "protocolVersions": ["v2", "grpc-v2"],
            "containers": [container],
        },
    }


def kserves(image: str, format_: str, version: str) -> Json:
    """KServe's own server of a format, a ClusterServingRuntime (config/runtimes/kserve-*server.yaml)."""
    args = ["--model_name={{.Name}}", "--model_dir=/mnt/models", "--http_port=8080"]
    more = [] if format_ == "sklearn" else ["--nthread=1"]
    return {
        "metadata": {"name": SERVERS[format_]},
        "spec": {
            "annotations": {
                "prometheus.kserve.io/port": "8080",
                "prometheus.kserve.io/path": "/metrics",
            },
            "supportedModelFormats": [{"name": format_, "version": version, "autoSelect": True}],
            "protocolVersions": ["v1", "v2"],
            "containers": [{"name": "kserve-container", "image": image, "args": [*args, *more]}],
        },
    }
