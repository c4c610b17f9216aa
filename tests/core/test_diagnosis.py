"""Reason by reason: what the cluster shows, and what is made of it; then that noise is never a cause."""

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.causes import (
    BLIP_S,
    CAPACITY_S,
    MOUNT_S,
    PULL_S,
    diagnose,
    webhook_rejection,
)
from tidegate.core.diagnosis import REMEDY, Diagnosis, Reason
from tidegate.core.symptoms import (
    Symptoms,
    events_of,
    failure_shown,
    pods_of,
    refusal_of,
    troubles_of,
)
from tidegate.documents import Word

TRITON_LOG = """\
W1125 23:01:33.322441 11106 pinned_memory_manager.cc:273] "Unable to allocate pinned system memory"
E1125 23:01:33.322568 11106 server.cc:241] "CudaDriverHelper has not been initialized."
I1125 23:01:33.323521 11106 model_lifecycle.cc:472] "loading: digits:1"
E1125 23:01:34.447400 11142 model_lifecycle.cc:642] "failed to load 'digits' version 1: Internal: bad dims"
| digits | 1       | UNAVAILABLE: Internal: bad dims |
I1125 23:01:34.447822 11142 server.cc:345] "Timeout 5: Found 0 live models and 0 in-flight requests"
error: creating server: Internal - failed to load all models
"""
CONFIG_LOG = """\
[libprotobuf ERROR /tmp/a b/text_format.cc:337] Error parsing text-format: 10:9: Message type \
"inference.ModelConfig" has no field named "nonsense".
E1125 23:01:33.884839 11127 model_repository_manager.cc:1460] "Poll failed for model directory 'digits'"
error: creating server: Internal - failed to load all models
"""
NO_NODE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
OVER = 'pods "r2-x" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=1, used: 2, limited: 2'
DENIED = (
    'admission webhook "validation.webhook.serving.knative.dev" denied the request: '
    "validation failed: expected 0 <= 101 <= 100: spec.traffic[0].percent"
)


def container(
    name: str = "kserve-container",
    *,
    waiting: tuple[str, str] | None = None,
    ended: tuple[str, int, str] | None = None,
    before: tuple[str, int, str] | None = None,
    restarts: int = 0,
) -> dict[str, Any]:
    """A container status as the kubelet writes it; running when nothing else is said."""
    state: dict[str, Any] = {"running": {"startedAt": "2026-11-25T23:00:00Z"}}
    if waiting:
        state = {"waiting": {"reason": waiting[0], "message": waiting[1]}}
    if ended:
        state = {"terminated": _terminated(*ended)}
    last = {"terminated": _terminated(*before)} if before else {}
    return {
        "name": name, "ready": False, "restartCount": restarts, "state": state, "lastState": last,
    }  # fmt: skip


def _terminated(reason: str, code: int, message: str) -> dict[str, Any]:
    return {"reason": reason, "exitCode": code, "message": message}


def pod(
    *servers: dict[str, Any], init: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    meta = {"name": "r2-x", "creationTimestamp": "2026-11-25T23:00:00Z"}
    init = init or container("storage-initializer", ended=("Completed", 0, ""))
    status: dict[str, Any] = {"phase": "Pending", "initContainerStatuses": [init]}
    return {
        "metadata": meta,
        "status": status | {"containerStatuses": list(servers)} | more,
    }


def event(
    reason: str, message: str, at: str = "2026-11-25T23:00:05Z", about: str = "r2-x"
) -> dict[str, Any]:
    return {
        "reason": reason, "message": message, "lastTimestamp": at, "involvedObject": {"name": about},
    }  # fmt: skip


def revision(kind: str, reason: str, message: str = "", status: str = "False") -> dict[str, Any]:
    condition = {"type": kind, "status": status, "reason": reason, "message": message}
    return {"status": {"conditions": [condition]}}


def isvc(
    transition: str = "InProgress", reason: str = "", message: str = "", refused: str = ""
) -> dict[str, Any]:
    model: dict[str, Any] = {"transitionStatus": transition}
    if message:
        model["lastFailureInfo"] = {"reason": reason, "message": message}
    said = {"type": "PredictorReady", "status": "False", "reason": "ReconcileFailed"}
    listed = [said | {"message": refused}] if refused else []
    return {"status": {"modelStatus": model, "conditions": listed}}


def shown(
    *pods: Any,
    events: Any = (),
    owner: Any = None,
    service: Any = None,
    logs: dict[str, str] | None = None,
    **more: Any,
) -> Symptoms:
    transition, failure = failure_shown(service)
    return Symptoms(
        pods=pods_of(pods), events=events_of(events), troubles=troubles_of(owner),
        refusal=refusal_of(service), transition=transition, failure=failure,
        logs={name: tuple(text.splitlines()) for name, text in (logs or {}).items()}, **more,
    )  # fmt: skip


SCHEDULE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
UNSCHEDULED: dict[str, Any] = {
    "metadata": {"name": "r2-x"},
    "status": {"conditions": [SCHEDULE | {"message": NO_NODE}]},
}
STORAGE = "storage-initializer"
TABLE: dict[str, tuple[Symptoms, Reason, Word, float, str]] = {
    "an image that does not exist": (
        shown(
            pod(container(waiting=("ImagePullBackOff", 'Back-off pulling image "triton:9"'))),
            events=[
                event("Failed", "Error: ErrImagePull"),
                event("Failed", 'Failed to pull image "triton:9": code = NotFound: not found'),
            ],
        ),
        Reason.IMAGE_PULL, Word.INVALID, 0, "Failed to pull image \"triton:9\"",
    ),
    "a registry that did not answer": (
        shown(pod(container(waiting=("ErrImagePull", "dial tcp: i/o timeout")))),
        Reason.IMAGE_PULL, Word.INVALID, PULL_S, "i/o timeout",
    ),
    "an image that Knative could not resolve": (
        shown(owner=revision("ContainerHealthy", "ContainerMissing", 'Unable to fetch image "t:9"')),
        Reason.IMAGE_PULL, Word.INVALID, 0, 'Unable to fetch image "t:9"',
    ),
    "no room for the pod": (
        shown(UNSCHEDULED), Reason.UNSCHEDULABLE, Word.INVALID, CAPACITY_S, NO_NODE,
    ),
    "no room, as Knative passes it on": (
        shown(owner=revision("ResourcesAvailable", "Unschedulable", NO_NODE)),
        Reason.UNSCHEDULABLE, Word.INVALID, CAPACITY_S, NO_NODE,
    ),
    "no room, and the autoscaler adds a node": (
        shown(UNSCHEDULED, events=[event("TriggeredScaleUp", "pod triggered scale-up: 1->2")]),
        Reason.UNSCHEDULABLE, Word.INVALID, inf, "triggered scale-up",
    ),
    "no room, and the autoscaler has given up": (
        shown(
            UNSCHEDULED,
            events=[
                event("TriggeredScaleUp", "scale-up: 1->2"),
                event("NotTriggerScaleUp", "max node group size reached", "2026-11-25T23:01:00Z"),
            ],
        ),
        Reason.UNSCHEDULABLE, Word.INVALID, CAPACITY_S, "max node group size reached",
    ),
    "a quota that is used up": (
        shown(events=[event("FailedCreate", f"Error creating: {OVER}", about="r2-deployment-1")]),
        Reason.QUOTA, Word.INVALID, CAPACITY_S, "exceeded quota: gpus",
    ),
    "a quota, as the Deployment says it": (
        shown(owner=revision("ReplicaFailure", "FailedCreate", OVER, status="True")),
        Reason.QUOTA, Word.INVALID, CAPACITY_S, "exceeded quota: gpus",
    ),
    "a pod that an admission webhook refuses": (
        shown(events=[event("FailedCreate", 'Error creating: admission webhook "pods.x" denied it')]),
        Reason.WEBHOOK_REJECTED, Word.INVALID, MOUNT_S, 'webhook "pods.x" denied it',
    ),
    "a pod whose account does not exist": (
        shown(events=[event("FailedCreate", 'error looking up service account d/reader: not found')]),
        Reason.CONFIG_ERROR, Word.INVALID, MOUNT_S, "d/reader",
    ),
    "an evicted pod": (
        shown(pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")),
        Reason.EVICTED, Word.INVALID, PULL_S, "low on resource: memory",
    ),
    "a secret that a container names and nobody made": (
        shown(pod(container(waiting=("CreateContainerConfigError", 'secret "hf" not found')))),
        Reason.CONFIG_ERROR, Word.INVALID, BLIP_S, 'secret "hf" not found',
    ),
    "a volume that cannot be mounted": (
        shown(
            pod(
                container(waiting=("PodInitializing", "")),
                init=container(STORAGE, waiting=("PodInitializing", "")),
            ),
            events=[event("FailedMount", 'MountVolume.SetUp failed: secret "s3" not found')],
        ),
        Reason.CONFIG_ERROR, Word.INVALID, MOUNT_S, 'secret "s3" not found',
    ),
    "a storage that says no": (
        shown(
            pod(
                container(waiting=("PodInitializing", "")),
                init=container(STORAGE, ended=("Error", 1, "")),
            ),
            logs={STORAGE: "Traceback (most recent call last):\nClientError: AccessDenied\n"},
        ),
        Reason.STORAGE_INITIALIZER, Word.INVALID, 0, "ClientError: AccessDenied",
    ),
    "a storage that did not answer": (
        shown(pod(init=container(STORAGE, ended=("Error", 1, "EndpointConnectionError")))),
        Reason.STORAGE_INITIALIZER, Word.INVALID, BLIP_S, "EndpointConnectionError",
    ),
    "a storage that did not answer, tried again": (
        shown(pod(init=container(STORAGE, before=("Error", 1, "connection reset"), restarts=1))),
        Reason.STORAGE_INITIALIZER, Word.INVALID, inf, "connection reset",
    ),
    "a storage that did not answer three times": (
        shown(pod(init=container(STORAGE, before=("Error", 1, "connection reset"), restarts=2))),
        Reason.STORAGE_INITIALIZER, Word.INVALID, 0, "connection reset",
    ),
    "a model that Triton does not load": (
        shown(
            pod(
                container(
                    waiting=("CrashLoopBackOff", "back-off 10s"), before=("Error", 1, ""), restarts=1
                )
            ),
            logs={"kserve-container": TRITON_LOG},
        ),
        Reason.MODEL_LOAD, Word.FAIL, 0, "failed to load 'digits' version 1: Internal: bad dims",
    ),
    "a config.pbtxt that Triton does not read": (
        shown(pod(container(ended=("Error", 1, CONFIG_LOG)))),
        Reason.MODEL_LOAD, Word.FAIL, 0, 'no field named "nonsense"',
    ),
    "a Triton that goes on without its model": (
        shown(pod(container()), logs={"kserve-container": TRITON_LOG}),
        Reason.MODEL_LOAD, Word.FAIL, PULL_S, "failed to load 'digits' version 1",
    ),
    "a server that the kernel killed": (
        shown(pod(container(before=("OOMKilled", 137, ""), restarts=1))),
        Reason.OUT_OF_MEMORY, Word.FAIL, 0, "OOMKilled, exit code 137",
    ),
    "a server that ended once and starts again": (
        shown(
            pod(container(before=("Error", 139, "Segmentation fault"), restarts=1)),
            owner=revision("ContainerHealthy", "ExitCode139", "Container failed with: "),
        ),
        Reason.CRASH_LOOP, Word.FAIL, inf, "exit code 139): Segmentation fault",
    ),
    "a server that ended twice and waits": (
        shown(
            pod(
                container(
                    waiting=("CrashLoopBackOff", ""), before=("Error", 139, "boom"), restarts=1
                )
            )
        ),
        Reason.CRASH_LOOP, Word.FAIL, BLIP_S, "boom",
    ),
    "a server that ends again and again": (
        shown(pod(container(before=("Error", 139, "boom"), restarts=2))),
        Reason.CRASH_LOOP, Word.FAIL, 0, "boom",
    ),
    "a flag that Triton does not know": (
        shown(
            pod(container(ended=("Error", 1, ""))),
            logs={"kserve-container": "tritonserver: unrecognized option '--x'\nUsage: ...\n\tDefault is 0."},
        ),
        Reason.CRASH_LOOP, Word.FAIL, BLIP_S, "unrecognized option '--x'",
    ),
    "a python backend that throws": (
        shown(
            pod(container(ended=("Error", 1, ""))),
            logs={
                "kserve-container": (
                    'E1125 23:01:34.4 11 b.cc:6] "ERROR: no instance: no\\n\\nAt:\\n  x.py(1)"\n'
                    "E1125 23:01:34.4 11 m.cc:6] \"failed to load 'd' version 1: no\\n\\nAt:\\n  x.py(1)\"\n"
                )
            },
        ),
        Reason.MODEL_LOAD, Word.FAIL, 0, "exit code 1): failed to load 'd' version 1: no; correct",
    ),
    "a server that just stops": (
        shown(pod(container(before=("Completed", 0, "bye"), restarts=3))),
        Reason.CRASH_LOOP, Word.FAIL, 0, "exit code 0): bye",
    ),
    "a deadline that passed without a cause to see": (
        shown(owner=revision("ResourcesAvailable", "ProgressDeadlineExceeded", "Initial scale ...")),
        Reason.PROGRESS_DEADLINE, Word.FAIL, 0, "Initial scale",
    ),
    "a deadline that passed for lack of room": (
        shown(UNSCHEDULED, owner=revision("Progressing", "ProgressDeadlineExceeded")),
        Reason.UNSCHEDULABLE, Word.INVALID, 0, NO_NODE,
    ),
    "a spec that Knative's webhook refused just now": (
        shown(warnings=(f"fails to reconcile predictor: {DENIED}",)),
        Reason.WEBHOOK_REJECTED, Word.INVALID, 0, "spec.traffic[0].percent",
    ),
    "a condition about a refusal, perhaps of before": (
        shown(service=isvc(refused=DENIED)),
        Reason.WEBHOOK_REJECTED, Word.INVALID, BLIP_S, "spec.traffic[0].percent",
    ),
    "a webhook that is away": (
        shown(warnings=('Internal error occurred: failed calling webhook "w": refused',)),
        Reason.WEBHOOK_REJECTED, Word.INVALID, MOUNT_S, "failed calling webhook",
    ),
    "a runtime that nobody installed": (
        shown(service=isvc("InvalidSpec", "RuntimeNotRecognized", "No ServingRuntimes named x")),
        Reason.RUNTIME_NOT_FOUND, Word.INVALID, BLIP_S, "No ServingRuntimes named x",
    ),
    "a crash in a cluster that hides its pods": (
        shown(
            owner=revision("ContainerHealthy", "ExitCode1", "failed to load 'digits' version 1"),
            unseen=("pods, the Role does not allow it",),
        ),
        Reason.MODEL_LOAD, Word.FAIL, 0, "failed to load 'digits' version 1",
    ),
    "a storage that says no in a cluster that hides its pods": (
        shown(
            service=isvc("BlockedByFailedLoad", "ModelLoadFailed", "No model found in s3://m/2/"),
            unseen=("pods, the Role does not allow it",),
        ),
        Reason.STORAGE_INITIALIZER, Word.INVALID, BLIP_S, "No model found in s3://m/2/",
    ),
    "a failed load in a cluster that hides its pods": (
        shown(
            service=isvc("BlockedByFailedLoad", "ModelLoadFailed", "Segmentation fault"),
            unseen=("pods, the Role does not allow it",),
        ),
        Reason.CRASH_LOOP, Word.FAIL, BLIP_S, "not seen: pods, the Role does not allow it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_what_the_cluster_shows_has_a_name_a_word_and_a_remedy(
    case: tuple[Symptoms, Reason, Word, float, str],
) -> None:
    symptoms, reason, word, persist_s, words = case
    found = diagnose(symptoms)
    assert found
    assert (found.reason, found.word, found.persist_s) == (reason, word, persist_s)
    assert found.certain is (persist_s == 0)
    assert words in found.message
    assert REMEDY[reason] in found.message
    assert "\n" not in found.message


def test_every_reason_stands_in_the_table() -> None:
    assert {reason for _, reason, _, _, _ in TABLE.values()} == set(Reason)


def test_the_page_of_diagnoses_says_of_every_reason_its_word_and_its_remedy() -> None:
    page = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    rows = {
        cells[1].strip(" `"): cells for line in page.splitlines() if (cells := line.split("|"))[1:]
    }
    for reason in Reason:
        said = Diagnosis(reason=reason, words="")
        assert (rows[reason][3].strip(), rows[reason][5].strip()) == (said.word, REMEDY[reason])


def test_every_suspicion_that_ends_a_wait_is_spoken_within_60_seconds() -> None:
    """But for the pause between two looks at the pods."""
    waits = {persist_s for _, _, _, persist_s, _ in TABLE.values()}
    assert max(waits - {inf}) <= 50


FINE: dict[str, Symptoms] = {
    "nothing": shown(),
    "a model that loads": shown(pod(container()), owner=revision("Ready", "Deploying", "", "Unknown")),
    "a model that is being fetched": shown(
        pod(container(waiting=("PodInitializing", "")), init=container(STORAGE))
    ),
    "an init container that failed once and then did its work": shown(
        pod(
            container(),
            init=container(
                STORAGE, ended=("Completed", 0, ""), before=("Error", 1, "AccessDenied"), restarts=3
            ),
        )
    ),
    "an old failure that KServe never cleared": shown(
        service=isvc("InProgress", "ModelLoadFailed", "failed to load 'digits' version 1")
    ),
    "an old failure, no pod yet, and a condition that is False": shown(
        service=isvc("BlockedByFailedLoad", "ModelLoadFailed", "failed to load 'digits' version 1")
    ),
    "a mount that succeeded after all": shown(
        pod(container()), events=[event("FailedMount", "secret not found")]
    ),
    "a pod that was made after all": shown(
        pod(container()), events=[event("FailedCreate", OVER)]
    ),
    "a pod that is being deleted": shown(
        {**UNSCHEDULED, "metadata": {"name": "x", "deletionTimestamp": "2026-11-25T23:00:00Z"}}
    ),
    "a pod that was scheduled after its event": shown(
        pod(container()), events=[event("FailedScheduling", NO_NODE)]
    ),
    "a warning that names no refusal": shown(warnings=("dial tcp: connection refused",)),
}  # fmt: skip


@pytest.mark.parametrize("symptoms", FINE.values(), ids=FINE)
def test_what_may_still_come_up_is_not_diagnosed(symptoms: Symptoms) -> None:
    assert diagnose(symptoms) is None


def test_events_of_an_earlier_object_of_the_same_name_are_not_heard() -> None:
    old = event("FailedCreate", OVER, at="2026-11-25T22:00:00Z")
    assert events_of([old], since="2026-11-25T23:00:00Z") == ()


def test_only_pods_of_the_newest_template_are_looked_at() -> None:
    """A Standard Deployment keeps the pods of its last template until the next ones are ready."""
    stuck = pod(container(waiting=("ImagePullBackOff", "not found")))
    stuck["metadata"] |= {"labels": {"pod-template-hash": "a"}}
    fresh = pod(container())
    fresh["metadata"] |= {
        "labels": {"pod-template-hash": "b"}, "creationTimestamp": "2026-11-25T23:09:00Z",
    }  # fmt: skip
    assert diagnose(shown(stuck, fresh)) is None
    assert diagnose(shown(stuck))


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (f"PATCH /apis/x: HTTP 400: {DENIED}; correct the object or the role", True),
        ("POST /apis/x: HTTP 422: spec.predictor.model: Required value; correct", True),
        ("PATCH /apis/x: HTTP 403: User cannot patch inferenceservices; correct", False),
        ("PATCH /apis/x: HTTP 404: not found", False),
    ],
)
def test_a_write_that_a_webhook_refused_is_told_from_one_that_the_role_forbids(
    said: str, is_one: bool
) -> None:
    found = webhook_rejection(said)
    assert (found is not None) is is_one
    assert found is None or (found.word, found.certain) == (Word.INVALID, True)


# -- noise

KEYS = [
    "metadata", "status", "name", "creationTimestamp", "labels", "deletionTimestamp", "phase",
    "reason", "message", "conditions", "initContainerStatuses", "containerStatuses", "state",
    "lastState", "waiting", "terminated", "running", "exitCode", "restartCount", "ready", "type",
    "involvedObject", "lastTimestamp", "modelStatus", "transitionStatus", "lastFailureInfo",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=25,
)


@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=3), JSON, JSON)
def test_no_json_from_the_cluster_breaks_the_readers(
    pods: list[Any], events: list[Any], owner: Any, service: Any
) -> None:
    found = diagnose(shown(*pods, events=events, owner=owner, service=service))
    assert found is None or found.message


REASONS = st.sampled_from(
    ["", "Error", "Completed", "Deploying", "PodInitializing", "ContainerCreating", "Running", "x"]
)
SAID = st.text(max_size=30)
STATES = st.builds(
    lambda waiting, name, init: (init, container(name, waiting=waiting)),
    st.none() | st.tuples(REASONS, SAID),
    st.sampled_from([STORAGE, "kserve-container", "queue-proxy"]),
    st.booleans(),
)
PODS = st.builds(
    lambda states, ready: {
        "metadata": {"name": "p"},
        "status": {
            "phase": "Running",
            "initContainerStatuses": [c for init, c in states if init],
            "containerStatuses": [c | {"ready": ready} for init, c in states if not init],
        },
    },
    st.lists(STATES, max_size=3),
    st.booleans(),
)
EVENTS = st.builds(
    event,
    st.sampled_from(
        ["Pulled", "Started", "BackOff", "Unhealthy", "Scheduled", "Killing", "Failed"]
    ),
    SAID,
)


@given(
    st.lists(PODS, max_size=3),
    st.lists(EVENTS, max_size=3),
    st.builds(revision, st.sampled_from(["Ready", "Active"]), REASONS, SAID),
    st.builds(isvc, st.sampled_from(["", "InProgress", "UpToDate"]), REASONS, SAID),
)
def test_without_a_container_that_ended_or_a_refusal_nothing_is_certain(
    pods: list[Any], events: list[Any], owner: Any, service: Any
) -> None:
    """Waiting, running and slow pods, whatever their messages say, are no cause."""
    found: Diagnosis | None = diagnose(shown(*pods, events=events, owner=owner, service=service))
    assert found is None, json.dumps([pods, events, owner, service])
