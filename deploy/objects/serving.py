"""The ServingRuntime: one pinned Triton, with the metrics that gates can read."""

from pathlib import Path

import yaml

from deploy.objects.metadata import Json, metadata
from tidegate.policy.serving import OWN_RUNTIME

TRITON = Path(__file__).parents[1] / "triton.yaml"
HTTP, GRPC, METRICS = 8080, 9000, 8002
CONTAINER_SECURITY: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def triton() -> dict[str, str]:
    """Its release, version and TensorRT."""
    found: dict[str, str] = yaml.safe_load(TRITON.read_text(encoding="utf-8"))
    return found


def arguments() -> list[str]:
    """KServe's own, and the metrics that its runtime leaves to chance.

    No `--metrics-config`: `summary_latencies=true` was measured to treble p99 under load, and
    `counter_latencies=false` freezes every counter at 0.
    """
    return [
        "tritonserver",
        "--model-repository=/mnt/models",
        f"--http-port={HTTP}",
        f"--grpc-port={GRPC}",
        "--allow-metrics=true",
        f"--metrics-port={METRICS}",
        "--metrics-interval-ms=5000",
        "--exit-timeout-secs=60",
    ]


def serving_runtime() -> Json:
    """What a policy that names no other runs in. Its resources are a floor: the policy's win."""
    sized = {"cpu": "1", "memory": "2Gi"}
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": metadata(OWN_RUNTIME),
        "spec": {
            "annotations": {
                "prometheus.kserve.io/port": str(METRICS),
                "prometheus.kserve.io/path": "/metrics",
            },
            "supportedModelFormats": [{"name": "triton", "version": "2"}],
            "protocolVersions": ["v2", "grpc-v2"],
            "containers": [
                {
                    "name": "kserve-container",
                    "image": f"nvcr.io/nvidia/tritonserver:{triton()['release']}-py3",
                    "args": arguments(),
                    "readinessProbe": {
                        "httpGet": {"path": "/v2/health/ready", "port": HTTP},
                        "periodSeconds": 2,
                    },
                    "resources": {"requests": sized, "limits": sized},
                    "securityContext": CONTAINER_SECURITY | {"runAsUser": 1000},
                }
            ],
        },
    }
