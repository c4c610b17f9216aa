"""deploy: whatever keeps a candidate from getting ready is refused by its name, long before the timeout."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.steps.traffic.test_promote import Evidence, Judge, Registry, release
from tests.steps.traffic.traffic_cluster import (
    POLL_S,
    Cluster,
    beyond,
    clustered,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.adapters.kubernetes import connect
from tidegate.core import causes, coming_up
from tidegate.core.diagnosis import Reason
from tidegate.documents import Deployment, Refusal, Result, Word
from tidegate.sandbox.api.kinds import PODS
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rule
from tidegate.sandbox.controllers import troubles
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged

TIMEOUT_S = 600
TRITON_SAID = (
    "E1125 23:01:34.447 11142 model_lifecycle.cc:642] "
    "\"failed to load 'digits' version 2: Internal: unexpected dims\"\n"
    "error: creating server: Internal - failed to load all models"
)
OVER = 'pods "x" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=1, used: 2'
NO_NODE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
REFUSED = 'Error creating: admission webhook "pods.policy.example.com" denied the request: no label'


def failed(reason: str, message: str, code: int = 1, restarts: int = 0) -> RevisionStatus:
    return RevisionStatus(
        phase="Failed", reason=reason, message=message, exit_code=code, restarts=restarts
    )


def pending(reason: str, message: str) -> RevisionStatus:
    return RevisionStatus(phase="Pending", reason=reason, message=message)


@pytest.fixture
def serving_1(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Suspicions need to persist for a moment only; that they persist at all is what counts here."""
    for name in ("BLIP_S", "PULL_S", "MOUNT_S", "CAPACITY_S"):
        monkeypatch.setattr(causes, name, 0.3)
    from tests.steps.traffic.test_deploy import end, stage

    staged_at(stage(cluster, 1))
    end(cluster)
    return cluster


def stage_2(cluster: Cluster, **serving: Any) -> Deployment | Refusal:
    chosen = beyond(policy(serving={"ready_timeout_s": TIMEOUT_S}), **serving)
    return staged(cluster.kube, published(2), chosen, "r2", poll_s=POLL_S)


def refused(result: Deployment | Refusal, reason: Reason, word: Word, words: str) -> Refusal:
    assert isinstance(result, Refusal), result
    assert f"{reason}: " in result.reason, result.reason
    assert words in result.reason
    assert result.word is word
    assert "not ready after" not in result.reason  # it was diagnosed, not waited for
    return result


def untouched(cluster: Cluster) -> None:
    assert cluster.serving == {uri(1)}
    assert all(
        {cluster.runtime.specs[n].storage_uri for n in s} == {uri(1)} for s in shares(cluster)
    )
    assert cluster.journal.outcome is Result.ROLLED_BACK
    seen = cluster.service.look()
    assert seen
    assert seen.storage_uri == uri(1)


def shares(cluster: Cluster) -> list[dict[str, int]]:
    return [{n: p for n, p in table.items() if p} for table in cluster.ingress.seen]


FATES: dict[str, tuple[RevisionStatus, Reason, Word, str]] = {
    "an image that does not exist": (
        pending(troubles.IMAGE_PULL, "code = NotFound desc = triton:9: not found"),
        Reason.IMAGE_PULL, Word.INVALID, "triton:9: not found",
    ),
    "an image that Knative cannot resolve": (
        failed(troubles.IMAGE_MISSING, "Unable to fetch image: 404"),
        Reason.IMAGE_PULL, Word.INVALID, "Unable to fetch image: 404",
    ),
    "a registry that does not answer": (
        pending(troubles.IMAGE_PULL, "dial tcp: i/o timeout"),
        Reason.IMAGE_PULL, Word.INVALID, "i/o timeout",
    ),
    "no node": (
        pending(troubles.UNSCHEDULABLE, NO_NODE), Reason.UNSCHEDULABLE, Word.INVALID, NO_NODE,
    ),
    "a quota": (pending(troubles.QUOTA, OVER), Reason.QUOTA, Word.INVALID, "exceeded quota: gpus"),
    "a pod that a webhook refuses": (
        pending(troubles.QUOTA, REFUSED),
        Reason.WEBHOOK_REJECTED, Word.INVALID, "pods.policy.example.com",
    ),
    "a secret that is missing": (
        pending(troubles.CONFIG_ERROR, 'secret "hf" not found'),
        Reason.CONFIG_ERROR, Word.INVALID, 'secret "hf" not found',
    ),
    "a bucket that is missing": (
        failed(troubles.STORAGE_FAILED, "botocore: NoSuchBucket: no such bucket"),
        Reason.STORAGE_INITIALIZER, Word.INVALID, "NoSuchBucket",
    ),
    "a storage that answers no more": (
        failed(troubles.STORAGE_FAILED, "connection reset by peer", restarts=1),
        Reason.STORAGE_INITIALIZER, Word.INVALID, "connection reset by peer",
    ),
    "a model that does not load": (
        failed(troubles.MODEL_LOAD_FAILED, TRITON_SAID, restarts=1),
        Reason.MODEL_LOAD, Word.FAIL, "failed to load 'digits' version 2: Internal: unexpected dims",
    ),
    "too little memory": (
        failed(troubles.OUT_OF_MEMORY, "loading: digits:2", code=-9, restarts=1),
        Reason.OUT_OF_MEMORY, Word.FAIL, "OOMKilled, exit code 137",
    ),
    "a crash loop": (
        failed(troubles.CRASH_LOOP, "Segmentation fault", code=-11, restarts=3),
        Reason.CRASH_LOOP, Word.FAIL, "exit code 139): Segmentation fault",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FATES.values(), ids=FATES)
def test_a_candidate_in_trouble_is_refused_by_its_name_and_production_never_knew(
    serving_1: Cluster, case: tuple[RevisionStatus, Reason, Word, str]
) -> None:
    fate, reason, word, words = case
    serving_1.runtime.fates[uri(2)] = fate
    refused(stage_2(serving_1), reason, word, words)
    untouched(serving_1)


def test_a_candidate_whose_second_pod_finds_no_room_is_refused_by_the_schedulers_word(
    serving_1: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = serving_1.runtime.status

    def full(namespace: str, name: str, replica: int = 0) -> RevisionStatus:
        no_room = pending(troubles.UNSCHEDULABLE, NO_NODE)
        return no_room if replica else first(namespace, name)

    monkeypatch.setattr(serving_1.runtime, "status", full)
    result = stage_2(serving_1, min_replicas=2, max_replicas=2)
    refused(result, Reason.UNSCHEDULABLE, Word.INVALID, NO_NODE)
    untouched(serving_1)


STANDARD = {name: case for name, case in FATES.items() if "Knative" not in name}


@pytest.fixture
def standard_1(standard: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    for name in ("BLIP_S", "PULL_S", "MOUNT_S", "CAPACITY_S"):
        monkeypatch.setattr(causes, name, 0.3)
    from tests.steps.traffic.test_deploy import end, stage

    staged_at(stage(standard, 1))
    end(standard)
    return standard


@pytest.mark.parametrize("case", STANDARD.values(), ids=STANDARD)
def test_the_pods_of_a_standard_deployment_have_the_same_troubles_by_the_same_names(
    standard_1: Cluster, case: tuple[RevisionStatus, Reason, Word, str]
) -> None:
    fate, reason, word, words = case
    standard_1.runtime.fates[uri(2)] = fate
    refused(stage_2(standard_1), reason, word, words)
    untouched(standard_1)


def test_a_standard_candidate_that_loses_its_node_while_it_bakes_is_left_for_lack_of_evidence(
    standard: Cluster,
) -> None:
    release(standard, 1, Judge(), Registry())

    class Drain(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            standard.runtime.fates[uri(2)] = pending(troubles.UNSCHEDULABLE, NO_NODE)
            return Evidence(Word.INCONCLUSIVE)

    outcome = release(standard, 2, Drain(), Registry())
    assert f"is no longer ready: UNSCHEDULABLE: {NO_NODE}" in outcome.reason
    assert outcome.steps[-1].word is Word.INVALID
    assert standard.serving == {uri(1)}


def test_a_first_release_in_trouble_is_refused_by_its_name(cluster: Cluster) -> None:
    cluster.runtime.fates[uri(2)] = failed(troubles.MODEL_LOAD_FAILED, TRITON_SAID)
    refused(stage_2(cluster), Reason.MODEL_LOAD, Word.FAIL, "unexpected dims")
    assert cluster.service.look() is None


def test_a_load_that_outlasts_knatives_deadline_is_refused_there(serving_1: Cluster) -> None:
    serving_1.runtime.fates[uri(2)] = RevisionStatus(phase="Loading")
    changes = {"metadata": {"annotations": {"serving.knative.dev/progress-deadline": "1s"}}}
    serving_1.service.patch(changes)
    serving_1.wait(lambda: len(serving_1.runtime.specs) == 2)
    serving_1.wait(lambda: serving_1.serving == {uri(1)} and _is_settled(serving_1))
    refused(stage_2(serving_1), Reason.PROGRESS_DEADLINE, Word.FAIL, "Initial scale")
    untouched(serving_1)


def _is_settled(cluster: Cluster) -> bool:
    seen = cluster.service.look()
    return seen is not None and seen.rolled_out == seen.created and seen.is_true("Ready")


@pytest.mark.parametrize(
    ("serving", "reason", "words"),
    [
        ({"min_replicas": 3}, Reason.WEBHOOK_REJECTED, "MinReplicas cannot be greater than"),
        ({"service_account": "Reader"}, Reason.WEBHOOK_REJECTED, "serviceAccountName"),
        ({"runtime": "nobody-s"}, Reason.RUNTIME_NOT_FOUND, "nobody-s"),
    ],
    ids=["by KServe's webhook", "by Knative's webhook", "for its runtime"],
)
def test_a_spec_that_the_cluster_refuses_is_taken_back(
    serving_1: Cluster, serving: dict[str, Any], reason: Reason, words: str
) -> None:
    refused(stage_2(serving_1, **serving), reason, Word.INVALID, words)
    untouched(serving_1)


def test_a_blip_is_waited_out(serving_1: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "BLIP_S", 60)
    blip = failed(troubles.STORAGE_FAILED, "connection reset by peer")
    with passing(serving_1, blip, lambda: bool(serving_1.api.store.items(PODS))):
        staged_at(stage_2(serving_1))


def test_a_node_that_the_autoscaler_has_announced_is_waited_for(serving_1: Cluster) -> None:
    growing = pending(troubles.SCALING_UP, NO_NODE)
    with passing(serving_1, growing, lambda: len(serving_1.runtime.specs) == 2):
        staged_at(stage_2(serving_1))


def test_a_node_that_never_comes_is_capacity_at_the_timeout(serving_1: Cluster) -> None:
    serving_1.runtime.fates[uri(2)] = pending(troubles.SCALING_UP, NO_NODE)
    result = stage_2(serving_1, ready_timeout_s=2)
    assert isinstance(result, Refusal)
    assert result.word is Word.INVALID
    assert "not ready after 2 s" in result.reason
    assert f"UNSCHEDULABLE: {NO_NODE} (pod triggered scale-up" in result.reason
    untouched(serving_1)


# -- a transformer or an explainer of its own

OF_ITS_OWN = ""  # a component has no storage URI
LAST_LINE = (
    "Traceback (most recent call last):\n  boot.py\nConnectionError: no feature store at feast"
)
COMPANIONS: dict[str, tuple[RevisionStatus, Reason, str, str]] = {
    "an image that does not exist": (
        pending(troubles.IMAGE_PULL, "code = NotFound desc = features:9: not found"),
        Reason.IMAGE_PULL, "features:9: not found", "correct serving.{}.image, or its pull secret",
    ),
    "no node": (
        pending(troubles.UNSCHEDULABLE, NO_NODE), Reason.UNSCHEDULABLE, NO_NODE,
        "that serving.{}.resources asks for",
    ),
    "a secret that is missing": (
        pending(troubles.CONFIG_ERROR, 'secret "feast" not found'),
        Reason.CONFIG_ERROR, 'secret "feast" not found', "create what is missing",
    ),
    "too little memory": (
        failed(troubles.OUT_OF_MEMORY, "reading features", code=-9, restarts=1),
        Reason.OUT_OF_MEMORY, "OOMKilled, exit code 137", "limits.memory in serving.{}.resources",
    ),
    "a crash loop": (
        failed(troubles.CRASH_LOOP, LAST_LINE, restarts=3),
        Reason.CRASH_LOOP, "exit code 1): ConnectionError: no feature store", "the container's log",
    ),
    "an error that reads as one of Triton's": (
        failed(troubles.CRASH_LOOP, "OSError: failed to load scaler.pkl", restarts=3),
        Reason.CRASH_LOOP, "OSError: failed to load scaler.pkl", "the container's log",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["transformer", "explainer"])
@pytest.mark.parametrize("case", COMPANIONS.values(), ids=COMPANIONS)
def test_a_component_in_trouble_is_named_as_a_predictor_is_and_never_blamed_on_the_model(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    case: tuple[RevisionStatus, Reason, str, str],
) -> None:
    for name in ("BLIP_S", "PULL_S", "MOUNT_S", "CAPACITY_S"):
        monkeypatch.setattr(causes, name, 0.3)
    monkeypatch.setattr(coming_up, "COMPANION_S", 0.5)
    fate, reason, words, remedy = case
    cluster.runtime.fates[OF_ITS_OWN] = fate
    own = {"image": "features:9", "command": ["python3", "features.py"]}
    made = own | ({"collocated": False} if kind == "transformer" else {})
    chosen = policy(serving={"ready_timeout_s": TIMEOUT_S, kind: made})
    result = staged(cluster.kube, published(2), chosen, "r2", poll_s=POLL_S)
    said = refused(result, reason, Word.INVALID, words).reason
    assert said.startswith(f"spec.{kind} does not start: {reason}: ")
    assert remedy.format(kind) in said
    assert cluster.service.look() is None


# -- a Role that hides things

BLIND = "blind"
READABLE = {
    ("", "configmaps"), ("coordination.k8s.io", "leases"), ("apps", "deployments"),
    ("serving.kserve.io", "inferenceservices"), ("serving.knative.dev", "revisions"),
    ("serving.kserve.io", "clusterservingruntimes"), ("serving.kserve.io", "servingruntimes"),
}  # fmt: skip
VERBS = ("get", "list", "create", "update", "patch", "delete")


@pytest.fixture
def blind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A user who sees neither pods nor logs nor Events."""
    rules = [Rule(verb=v, group=g, resource=r) for v in VERBS for g, r in READABLE]
    with clustered(tmp_path, monkeypatch, rules={BLIND: rules}) as cluster:
        token = write_kubeconfig(tmp_path / "blind", cluster.api.url, token=BLIND)
        monkeypatch.setenv("KUBECONFIG", str(token))
        with connect(retry_s=2) as kube:
            yield replace(cluster, kube=kube)


def test_a_role_without_pods_logs_and_events_releases_all_the_same(blind: Cluster) -> None:
    staged_at(stage_2(blind))


def test_a_role_without_pods_still_gets_knatives_words_and_is_told_what_it_lacks(
    blind: Cluster,
) -> None:
    blind.runtime.fates[uri(2)] = failed(troubles.MODEL_LOAD_FAILED, TRITON_SAID, restarts=1)
    refusal = refused(stage_2(blind), Reason.MODEL_LOAD, Word.FAIL, "unexpected dims")
    assert "not seen: pods, the Role does not allow it" in refusal.reason


class passing:  # noqa: N801 - reads as a word
    """Trouble that is there at first, and gone a second after `begun`."""

    def __init__(self, cluster: Cluster, fate: RevisionStatus, begun: Callable[[], bool]) -> None:
        cluster.runtime.fates[uri(2)] = fate
        self._cluster, self._begun = cluster, begun
        self._thread = threading.Thread(target=self._pass)

    def _pass(self) -> None:
        self._cluster.wait(self._begun)
        threading.Event().wait(1.5)
        self._cluster.runtime.fates.pop(uri(2))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()
