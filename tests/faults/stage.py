"""What a scene is played on: an emulated cluster, the wire before it, and the steps of a release."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.wire import Wire, between
from tests.steps.traffic.test_promote import Evidence, Registry
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    clustered,
    policy,
    published,
    uri,
    verdict,
)
from tidegate.adapters import job_gate
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.adapters.release_lock import list_journals, load_journal, save_journal
from tidegate.core.journal import Journal, Phase
from tidegate.documents import Deployment, Word
from tidegate.errors import NotPromotedError, UnavailableError
from tidegate.operations.abort import aborted
from tidegate.operations.approval import decided
from tidegate.operations.finding import found
from tidegate.operations.resume import resumed
from tidegate.operations.rollback import rolled_back
from tidegate.policy import JobSlo
from tidegate.sandbox.api.kinds import NODES, REVISIONS
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rules
from tidegate.sandbox.api.store import Change
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.await_approval import awaited
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.promote import promoted
from tidegate.steps.restart_watch import RestartWatch
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept

CRASHED = RevisionStatus(phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139)
KEDA = {"kind": "keda", "triggers": [{"kind": "queue_time", "threshold": 20}]}
LOADING = RevisionStatus(phase="Loading")
STEPS = (10, 100)
WHO = "ann@laptop"


@contextlib.contextmanager
def wired(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str, rules: Rules | None = None
) -> Iterator[tuple[Cluster, Wire]]:
    """A cluster behind a wire that can break; KUBECONFIG names the wire, the cluster's client goes past."""
    with (
        clustered(folder, monkeypatch, rules, mode) as cluster,
        between(cluster.api.url) as wire,
    ):
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(folder / "wire", wire.url)))
        yield cluster, wire


@contextlib.contextmanager
def staging(
    cluster: Cluster,
    wire: Wire,
    *,
    retry_s: float = 3.0,
    timeout_s: float = 5.0,
    patience_s: float = 10.0,
    mode: str = "Knative",
) -> Iterator["Stage"]:
    """A client on the wire, for one scene; what was before it has time, whatever the step itself has."""
    with connect(retry_s=3.0) as kube:
        yield Stage(cluster, wire, kube, patience_s, mode=mode, limits=(retry_s, timeout_s))


@dataclass
class Stage:
    """A cluster, the wire before it, and a client on that wire."""

    cluster: Cluster
    wire: Wire
    kube: Kubernetes
    patience_s: float
    release_id: str = ""
    deployment: Deployment | None = None
    candidate: int = 0  # the version
    dies_at: int = 0  # the share at which the candidate crashes
    initial: str = "allow"
    approval: str = "none"
    baseline: str = "matched"
    mode: str = "Knative"
    gpu: bool = False
    keda: bool = False
    limits: tuple[float, float] = (3.0, 5.0)  # of the step's calls: all tries of one, and each

    def hurry(self) -> None:
        """From now on the client has just the step's time."""
        self.kube._retry_s, timeout_s = self.limits
        self.kube._timeouts_s = (5.0, timeout_s)

    def policy(self) -> Any:
        traffic: dict[str, Any] = {
            "bake_s": 0.01,
            "max_bake_s": 0.05,
            "step_timeout_s": self.patience_s,
        }
        traffic["approval"] = self.approval
        serving: dict[str, Any] = {"ready_timeout_s": self.patience_s}
        serving |= {"gpu": {}} if self.gpu else {}
        serving |= {"scaling": KEDA, "max_replicas": 4} if self.keda else {}
        load = {"baseline": self.baseline}
        chosen = {"traffic": {"steps": STEPS, **traffic}, "serving": serving, "load": load}
        return policy(**chosen, initial=self.initial)

    def deploy(self, version: int, **changes: Any) -> str:
        self.release_id, self.candidate = f"r{version}", version
        document = published(version).model_copy(update=changes)
        result = staged(self.kube, document, self.policy(), self.release_id, poll_s=POLL_S)
        if not isinstance(result, Deployment):
            return f"refused, {result.word}"
        self.deployment = result
        return "staged"

    def judge(self, words: Mapping[str, Word]) -> Any:
        watch: list[RestartWatch] = []

        def judge(deployment: Deployment, _: object, *, percent: int, since_s: float) -> Any:
            watch[:] = watch or [RestartWatch(self.kube)]
            watch[0].look(deployment, since_s=since_s)  # not to see the pods decides nothing
            if self.dies_at == percent:
                self.crash()
                return Evidence(Word.INCONCLUSIVE)
            if words.get(f"at_{percent}") is Word.INVALID:
                raise UnavailableError("the process is gone")
            return Evidence(words.get(f"at_{percent}", Word.PASS))

        return judge

    def promote(self, **words: Word) -> str:
        assert self.deployment
        return promoted(
            self.kube, self.deployment, self.policy(), judge=self.judge(words),
            aliases=Registry().aliases, poll_s=POLL_S, judge_every_s=POLL_S,
        ).result.value  # fmt: skip

    def roll_back(self) -> str:
        assert self.deployment
        bad = verdict(self.deployment, self.release_id, Word.FAIL)
        return returned(self.kube, bad, self.policy(), self.release_id, poll_s=POLL_S).result.value

    def guard(self) -> str:
        journal = guarded(self.kube, self.release_id, "", poll_s=POLL_S)
        return str(journal.outcome) if journal else "nothing found"

    def gate(self) -> str:
        """The Job of a gate; what else a gate asks is no business of the Kubernetes API."""
        container = {"name": "check", "image": "i@sha256:1"}
        objective = JobSlo(
            kind="job", name="fairness", pod={"containers": [container]}, timeout_s=5
        )
        word, _ = job_gate.asked(
            self.kube, objective, {"revision": "r"}, namespace="default",
            release_id=self.release_id, look_every_s=POLL_S,
        )  # fmt: skip
        return word.value

    def await_approval(self) -> str:
        found = awaited(self.kube, self.policy(), self.release_id, look_every_s=POLL_S)
        return found.decision if found else "nobody said anything"

    def sweep(self) -> str:
        late = time.time() + 1e6
        return f"returned {swept(self.kube, '', now_s=late, poll_s=POLL_S).returned}"

    # -- what people type

    def abort(self) -> str:
        stored = found(self.kube, NAME, "default")
        return _outcome(
            aborted(self.kube, stored, who=WHO, poll_s=POLL_S, patience_s=self.patience_s)
        )

    def resume(self) -> str:
        return _outcome(
            resumed(
                self.kube, found(self.kube, NAME, "default"), who=WHO, judge=self.judge({}),
                aliases=Registry().aliases, poll_s=POLL_S, judge_every_s=POLL_S,
                patience_s=self.patience_s,
            )
        )  # fmt: skip

    def go_back(self) -> str:
        """rollback --to 1: a release of its own, whose id only its journal knows."""
        self.candidate = 1
        try:
            return _outcome(
                rolled_back(
                    self.kube, found(self.kube, NAME, "default"), "1", who=WHO,
                    aliases=Registry().aliases, poll_s=POLL_S, judge_every_s=POLL_S,
                )
            )  # fmt: skip
        except NotPromotedError:
            return "not promoted"
        finally:
            stored = load_journal(self.cluster.kube, "default", NAME)
            assert stored
            is_begun = stored.journal.release_id.startswith("rollback-")
            self.release_id = stored.journal.release_id if is_begun else "never-begun"

    # -- what was before

    def live(self) -> None:
        """Version 1 serves."""
        self.deploy(1)
        self.promote()

    def biased(self) -> None:
        """Version 2 is staged, and its Job will fail it."""
        self.dark()
        self.cluster.jobs.exit_code = 1

    def dark(self) -> None:
        """Version 1 serves, version 2 is staged."""
        list_journals(self.kube, release_id="r2")  # an answer that a stale read can repeat
        list_journals(self.kube)
        self.live()
        self.deploy(2)

    def beside(self) -> None:
        """Version 1 serves; version 2 will be compared with a dedicated baseline."""
        self.live()
        self.baseline = "dedicated"

    def on_gpus(self) -> None:
        """Version 1 serves; version 2 asks for a GPU, and a node has three."""
        self.live()
        self.gpu = True
        ready = [{"type": "Ready", "status": "True"}]
        status = {"allocatable": {"nvidia.com/gpu": "3"}, "conditions": ready}
        self.cluster.api.store.create(NODES, {"metadata": {"name": "gpu-1"}, "status": status})

    def left_scaled(self) -> None:
        """Version 1 serves and KEDA scales it; what scaled version 2 was left when that was taken back."""
        self.keda = True
        self.live()
        self.deploy(2)
        self.promote(at_10=Word.FAIL)

    def dark_scaled(self) -> None:
        """Version 1 serves and KEDA scales it; version 2 is staged."""
        self.keda = True
        self.dark()

    def dark_beside(self) -> None:
        """The same, and version 2 is staged with its baseline."""
        self.beside()
        self.deploy(2)

    def approved(self) -> None:
        """Version 1 serves, version 2 is staged, asks for approval and has it."""
        self.approval = "manual"
        self.dark()
        decided(self.kube, list_journals(self.kube, release_id="r2")[0], "approve", who="ann")

    def half_way(self) -> None:
        """Version 2 has its first share when its process dies."""
        self.dark()
        with contextlib.suppress(UnavailableError):
            self.promote(at_10=Word.INVALID)

    def half_returned(self) -> None:
        """Version 2 has its first share, and was to give it back when its process died."""
        self.half_way()
        stored = load_journal(self.kube, "default", NAME)
        assert stored
        returning = {"phase": Phase.RETURNING, "reason": "was too slow"}
        save_journal(self.kube, stored.journal.model_copy(update=returning), stored)

    def succeeded(self) -> None:
        """Version 2 serves, and version 1 did before."""
        self.dark()
        self.promote()

    def succeeded_a_broken(self) -> None:
        """Version 2 serves, and version 1, which did before, does not start any more."""
        self.succeeded()
        self.cluster.wait(lambda: self.cluster.serving == {uri(2)})
        self.cluster.runtime.fates[uri(1)] = CRASHED

    def doomed(self) -> None:
        """Version 1 serves, version 2 is staged and will crash with its first share."""
        self.dark()
        self.dies_at = 10

    def dead_half_way(self) -> None:
        """Version 2 has its first share when its process dies, and then crashes itself."""
        self.half_way()
        self.crash()

    def crash(self) -> None:
        """Version 2 crashes. Knative mode: version 1 loads anew once that revision is gone, or after 3 s."""
        fates = self.cluster.runtime.fates
        if self.mode == "Standard":
            fates |= {uri(2): CRASHED}
            self.cluster.wait(lambda: not is_up(self))
            return
        fates |= {uri(2): CRASHED, uri(1): LOADING}

        def loads(change: Change | None = None) -> None:
            if change is None or (change.kind == REVISIONS and change.new is None):
                fates.pop(uri(1), None)

        self.cluster.api.store.subscribe(loads)
        self.cluster.wait(lambda: not is_up(self))
        threading.Timer(3.0, loads).start()

    def crashing(self) -> None:
        """Version 1 serves, version 2 will not start."""
        self.live()
        self.cluster.runtime.fates[uri(2)] = CRASHED


def _outcome(journal: Journal) -> str:
    assert journal.outcome
    return journal.outcome.value


def is_up(stage: Stage) -> bool:
    """The newest revision is ready."""
    seen = stage.cluster.service.look()
    return seen is not None and seen.is_healthy(seen.created)
