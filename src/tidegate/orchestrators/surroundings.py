"""What both drawings give every step: the images, the GPU, and where its endpoints and secrets come from."""

from collections.abc import Mapping

from tidegate import __version__
from tidegate.config import VARIABLES
from tidegate.steps.registry import Step, steps

REGISTRY = "ghcr.io/tidegate"
# optimize runs in the image of the steps, until a run names the one with TensorRT.
USES = {"optimize": "steps"}
TRAINER = "registry.example.com/ml/trainer:1"  # stands for the user's own; set it
# A ConfigMap and a Secret of this name, in the namespace of the run; the Secret may be missing.
NAME = "tidegate"
IN_CONFIG_MAP = tuple(
    VARIABLES[field]
    for field in ("mlflow_tracking_uri", "prometheus_url", "ingress_url", "storage_uri")
)
IN_SECRET = (
    *(
        VARIABLES[field]
        for field in (
            "mlflow_tracking_token", "mlflow_tracking_username", "mlflow_tracking_password",
            "ingress_token", "grafana_token",
            # No secrets, but a run may lack them, and of a ConfigMap Kubeflow wants every key.
            "grafana_url", "pushgateway_url", "otlp_endpoint", "tensorrt_cache", "aoti_cache",
        )
    ),
    # Storage, as obstore and KServe's own Secrets name it; an identity of the pod needs none of them.
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL", "S3_ENDPOINT", "S3_USE_HTTPS", "S3_VERIFY_SSL", "S3_USER_VIRTUAL_BUCKET",
    "awsAnonymousCredential",
    "GOOGLE_SERVICE_ACCOUNT_KEY",  # the JSON itself: a file would need a volume
    "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_ACCESS_KEY",
)  # fmt: skip
# What the GPU steps ask for; 0 of it is a release for a CPU target.
GPU_RESOURCE, GPU_COUNT = "nvidia.com/gpu", "0"


def labels(step: Step) -> Mapping[str, str]:
    """What the pod of a step is found by, in either orchestrator."""
    return {"app.kubernetes.io/part-of": "tidegate", "app.kubernetes.io/component": step.command}


def images(registry: str = REGISTRY, tag: str = __version__) -> Mapping[str, str]:
    """The images that are ours, by kind; a trainer's is the user's own."""
    known = (USES.get(step.image, step.image) for step in steps().values())
    kinds = dict.fromkeys(kind for kind in known if kind != "trainer")
    return {kind: f"{registry}/{kind}:{tag}" for kind in kinds}


def image_of(step: Step) -> str:
    """The image that a component names when nobody chooses another one."""
    return images().get(USES.get(step.image, step.image), TRAINER)


def image_parameter(step: Step) -> str:
    """The parameter of a run that names the step's image."""
    return f"{step.image}_image"
