"""The troubles of a revision, and the Events that a real cluster writes about each. Pure.

A runtime names a trouble in `RevisionStatus.reason`; `pods` and `revision_status` show it. The sandbox's own
kubelet has the first four from real processes; the others are what a test says.
"""

from collections.abc import Iterator

from tidegate.sandbox.controllers.events import Told
from tidegate.sandbox.interfaces import RevisionStatus

STORAGE_INITIALIZER = "storage-initializer"  # the init container's name
STORAGE_FAILED = "StorageInitializerFailed"
MODEL_LOAD_FAILED = "ModelLoadFailed"
CRASH_LOOP = "CrashLoop"
OUT_OF_MEMORY = "OutOfMemory"
IMAGE_PULL = "ImagePull"
CONFIG_ERROR = "ConfigError"
UNSCHEDULABLE = "Unschedulable"
SCALING_UP = "ScalingUp"  # unschedulable, and the cluster autoscaler has announced a node
QUOTA = "Quota"
IMAGE_MISSING = "ContainerMissing"  # Knative cannot resolve the tag to a digest

NO_NODE = frozenset({UNSCHEDULABLE, SCALING_UP})
NO_POD = frozenset({QUOTA, IMAGE_MISSING})


def pod_events(seen: RevisionStatus, image: str) -> Iterator[Told]:
    """About the pod, by the scheduler, the kubelet and the autoscaler."""
    if seen.reason in NO_NODE:
        yield Told(reason="FailedScheduling", message=seen.message)
    if seen.reason == SCALING_UP:
        text = "pod triggered scale-up: [{gpu-pool 1->2 (max: 4)}]"
        yield Told(reason="TriggeredScaleUp", message=text, type="Normal")
    if seen.reason == IMAGE_PULL:
        yield Told(reason="Failed", message=f'Failed to pull image "{image}": {seen.message}')
        yield Told(reason="Failed", message="Error: ErrImagePull")
    if seen.reason == CONFIG_ERROR:
        yield Told(reason="Failed", message=f"Error: {seen.message}")
    if seen.phase == "Failed" and seen.restarts:
        yield Told(reason="BackOff", message="Back-off restarting failed container")


def replica_set_events(seen: RevisionStatus) -> Iterator[Told]:
    """About the ReplicaSet that could not make its pod."""
    if seen.reason == QUOTA:
        yield Told(reason="FailedCreate", message=f"Error creating: {seen.message}")
