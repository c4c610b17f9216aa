"""The CronJob that ends releases whose run died with its orchestrator."""

from deploy.objects.metadata import LABELS, SWEEP, Json, account, metadata
from deploy.objects.serving import CONTAINER_SECURITY
from tidegate import __version__

IMAGE = f"ghcr.io/tidegate/steps:{__version__}"
NOBODY = 65532


def sweep() -> Json:
    """Every three minutes, one at a time; a sweep that fails is shown, and the next one tries again."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata("tidegate-sweep"),
        "spec": {
            "schedule": "*/3 * * * *",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 120,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 0,
                    "activeDeadlineSeconds": 1800,
                    "ttlSecondsAfterFinished": 3600,
                    "template": {"metadata": {"labels": {**LABELS, **SWEEP}}, "spec": _pod()},
                }
            },
        },
    }


def _pod() -> Json:
    return {
        "serviceAccountName": account("sweep"),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,  # an act that is under way is finished
        "securityContext": {"runAsNonRoot": True, "runAsUser": NOBODY, "fsGroup": NOBODY},
        "containers": [_container()],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
    }


def _container() -> Json:
    own = {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    return {
        "name": "sweep",
        "image": IMAGE,
        "command": ["tidegate", "sweep", "--namespace", "$(NAMESPACE)"],
        "env": [own],
        "envFrom": [{"configMapRef": {"name": "tidegate"}}],
        "resources": {
            "requests": {"cpu": "50m", "memory": "256Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": CONTAINER_SECURITY | {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own
    }
