"""The ways through a release that together make every call: what was before, and the step that is run."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.wire import Wire, between
from tests.steps.traffic.test_promote import Evidence, Registry
from tests.steps.traffic.traffic_cluster import (
    POLL_S,
    Cluster,
    clustered,
    policy,
    published,
    uri,
    verdict,
)
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.adapters.release_lock import list_journals
from tidegate.documents import Deployment, Word
from tidegate.errors import UnavailableError
from tidegate.operations.approval import decided
from tidegate.sandbox.api.kinds import REVISIONS
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.store import Change
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.await_approval import awaited
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.promote import promoted
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept

CRASHED = RevisionStatus(phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139)
LOADING = RevisionStatus(phase="Loading")
STEPS = (10, 100)


@contextlib.contextmanager
def wired(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> Iterator[tuple[Cluster, Wire]]:
    """A cluster behind a wire that can break; KUBECONFIG names the wire, the cluster's client goes past."""
    with (
        clustered(folder, monkeypatch, mode=mode) as cluster,
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
) -> Iterator["Stage"]:
    """A client on the wire, for one scene."""
    with connect(retry_s=retry_s, timeouts_s=(5.0, timeout_s)) as kube:
        yield Stage(cluster, wire, kube, patience_s)


@dataclass
class Stage:
    """A cluster, the wire before it, and a client on that wire."""

    cluster: Cluster
    wire: Wire
    kube: Kubernetes
    patience_s: float
    release_id: str = ""
    deployment: Deployment | None = None
    dies_at: int = 0  # the share at which the candidate crashes
    initial: str = "allow"
    approval: str = "none"

    def policy(self) -> Any:
        traffic: dict[str, Any] = {
            "bake_s": 0.01,
            "max_bake_s": 0.05,
            "step_timeout_s": self.patience_s,
        }
        traffic["approval"] = self.approval
        serving = {"ready_timeout_s": self.patience_s}
        chosen = {"traffic": {"steps": STEPS, **traffic}, "serving": serving}
        return policy(**chosen, initial=self.initial)

    def deploy(self, version: int, **changes: Any) -> str:
        self.release_id = f"r{version}"
        document = published(version).model_copy(update=changes)
        result = staged(self.kube, document, self.policy(), self.release_id, poll_s=POLL_S)
        if not isinstance(result, Deployment):
            return f"refused, {result.word}"
        self.deployment = result
        return "staged"

    def promote(self, **words: Word) -> str:
        def judge(*given: object, percent: int, since_s: float) -> Any:
            if self.dies_at == percent:
                self.crash()
                return Evidence(Word.INCONCLUSIVE)
            if words.get(f"at_{percent}") is Word.INVALID:
                raise UnavailableError("the process is gone")
            return Evidence(words.get(f"at_{percent}", Word.PASS))

        assert self.deployment
        return promoted(
            self.kube, self.deployment, self.policy(), judge=judge, aliases=Registry().aliases,
            poll_s=POLL_S, judge_every_s=POLL_S,
        ).result.value  # fmt: skip

    def roll_back(self) -> str:
        assert self.deployment
        bad = verdict(self.deployment, self.release_id, Word.FAIL)
        return returned(self.kube, bad, self.policy(), self.release_id, poll_s=POLL_S).result.value

    def guard(self) -> str:
        journal = guarded(self.kube, self.release_id, "", poll_s=POLL_S)
        return str(journal.outcome) if journal else "nothing found"

    def await_approval(self) -> str:
        found = awaited(self.kube, self.policy(), self.release_id, look_every_s=POLL_S)
        return found.decision if found else "nobody said anything"

    def sweep(self) -> str:
        late = time.time() + 1e6
        return f"returned {swept(self.kube, '', now_s=late, poll_s=POLL_S).returned}"

    # -- what was before

    def live(self) -> None:
        """Version 1 serves."""
        self.deploy(1)
        self.promote()

    def dark(self) -> None:
        """Version 1 serves, version 2 is staged."""
        list_journals(self.kube, release_id="r2")  # an answer that a stale read can repeat
        list_journals(self.kube)
        self.live()
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

    def doomed(self) -> None:
        """Version 1 serves, version 2 is staged and will crash with its first share."""
        self.dark()
        self.dies_at = 10

    def dead_half_way(self) -> None:
        """Version 2 has its first share when its process dies, and then crashes itself."""
        self.half_way()
        self.crash()

    def crash(self) -> None:
        """Version 2 crashes, and version 1 is not loaded anew before its revision is gone, or 3 s have."""
        fates = self.cluster.runtime.fates
        fates |= {uri(2): CRASHED, uri(1): LOADING}

        def loads(change: Change | None = None) -> None:
            if change is None or (change.kind == REVISIONS and change.new is None):
                fates.pop(uri(1), None)

        self.cluster.api.store.subscribe(loads)
        self.cluster.wait(lambda: not _is_up(self))
        threading.Timer(3.0, loads).start()

    def crashing(self) -> None:
        """Version 1 serves, version 2 will not start."""
        self.live()
        self.cluster.runtime.fates[uri(2)] = CRASHED


def nothing(_stage: Stage) -> None:
    """An empty cluster."""


def first(stage: Stage) -> None:
    """Version 1 is live and not yet confirmed."""
    stage.deploy(1)


def by_preview(stage: Stage) -> None:
    """An empty cluster, in which a first release is judged as a preview."""
    stage.initial = "preview"


def previewed(stage: Stage) -> None:
    """Version 1 is up as a preview, and judged."""
    by_preview(stage)
    stage.deploy(1)


def first_crashing(stage: Stage) -> None:
    """An empty cluster, in which version 1 will not start."""
    stage.cluster.runtime.fates[uri(1)] = CRASHED


def first_crashed(stage: Stage) -> None:
    """Version 1 was live, and is no longer ready."""
    stage.deploy(1)
    stage.cluster.runtime.fates[uri(1)] = CRASHED
    stage.cluster.wait(lambda: not _is_up(stage))
    stage.patience_s = 1.0


def _is_up(stage: Stage) -> bool:
    seen = stage.cluster.service.look()
    return seen is not None and seen.is_healthy(seen.created)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`run` is the step under test; `ends` how it ends on a sound wire; `share` the candidate's at most."""

    name: str
    step: str
    before: Callable[[Stage], None]
    run: Callable[[Stage], str]
    ends: str
    share: int = 0
    mode: str = "Knative"

    def __str__(self) -> str:
        return self.name


DEPLOY = Scene(
    name="deploy", step="deploy", before=Stage.live, run=lambda s: s.deploy(2), ends="staged"
)
PROMOTE = Scene(
    name="promote", step="promote", before=Stage.dark, run=Stage.promote, ends="PROMOTED", share=100
)
ROLL_BACK = Scene(
    name="roll-back", step="roll-back", before=Stage.dark, run=Stage.roll_back, ends="ROLLED_BACK"
)
GUARD = Scene(
    name="guard", step="guard", before=Stage.half_way, run=Stage.guard, ends="DIED", share=10
)
AWAIT_APPROVAL = Scene(
    name="await-approval", step="await-approval", before=Stage.approved, run=Stage.await_approval,
    ends="approve",
)  # fmt: skip
SWEEP = Scene(
    name="sweep", step="sweep", before=Stage.half_way, run=Stage.sweep, ends="returned 1", share=10
)
KNATIVE = (
    DEPLOY,
    replace(DEPLOY, name="deploy of the first", before=nothing, run=lambda s: s.deploy(1), share=100),
    replace(DEPLOY, name="deploy of a crashing one", before=Stage.crashing, ends="refused, FAIL"),
    replace(
        DEPLOY, name="deploy that KServe refuses", ends="refused, INVALID",
        run=lambda s: s.deploy(2, storage_uri="gopher://models/digits/2/"),
    ),
    replace(
        DEPLOY, name="deploy of a crashing first", before=first_crashing, run=lambda s: s.deploy(1),
        ends="refused, FAIL", share=100,
    ),
    PROMOTE,
    replace(PROMOTE, name="promote the first", before=first),
    replace(PROMOTE, name="promote a crashed first", before=first_crashed, ends="ROLLED_BACK"),
    replace(
        PROMOTE, name="promote a bad one", run=lambda s: s.promote(at_10=Word.FAIL),
        ends="ROLLED_BACK", share=10,
    ),
    replace(
        PROMOTE, name="promote one that crashes", before=Stage.doomed, ends="ROLLED_BACK", share=10
    ),
    AWAIT_APPROVAL,
    ROLL_BACK,
    replace(ROLL_BACK, name="roll-back of the first", before=first, share=100),
    GUARD,
    replace(GUARD, name="guard of the first", before=first, share=100),
    replace(GUARD, name="guard of a crashed one", before=Stage.dead_half_way),
    SWEEP,
    replace(SWEEP, name="sweep of a crashed one", before=Stage.dead_half_way),
    replace(SWEEP, name="sweep of the first", before=first, share=100),
)  # fmt: skip
IN_STANDARD = {
    "deploy", "deploy of the first", "deploy of a crashing one", "promote", "promote a bad one",
    "roll-back", "roll-back of the first", "guard", "sweep",
}  # fmt: skip
STANDARD = tuple(
    replace(scene, name=f"{scene.name}, Standard", mode="Standard")
    for scene in KNATIVE
    if scene.name in IN_STANDARD
)
SCENES = KNATIVE + STANDARD
PREVIEWS = (
    replace(DEPLOY, name="deploy of a preview", before=by_preview, run=lambda s: s.deploy(1)),
    replace(PROMOTE, name="promote a preview", before=previewed),
    replace(ROLL_BACK, name="roll-back of a preview", before=previewed),
    replace(GUARD, name="guard of a preview", before=previewed, share=0),
)
