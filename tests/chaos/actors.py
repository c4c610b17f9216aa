"""What is run in a process of its own, and may be killed there: the product's steps, and nothing else.

Imported once by a fork server; each actor is forked from it, so it starts warm and without threads.
"""

import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import kubernetes.client.exceptions
import kubernetes.config

from tests.chaos.aliases import aliases_in
from tests.chaos.courses import Course, Mode, Patience, Verb, policy, published, verdict
from tests.chaos.dying import Moment, watch_writes
from tests.chaos.light_runtime import CRASH_PATH
from tidegate.adapters import inference_service, release_lock, served_model
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.adapters.release_lock import load_journal
from tidegate.core.journal import Journal, Phase
from tidegate.documents import Deployment, Outcome, Refusal, Result, Verdict, Word
from tidegate.errors import ConflictError
from tidegate.operations.abort import aborted
from tidegate.operations.resume import resumed
from tidegate.operations.rollback import rolled_back
from tidegate.policy import Policy
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.live_gate import LiveEvidence
from tidegate.steps.promote import promoted
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept

PRELOADED = (kubernetes.client.exceptions, kubernetes.config, inference_service, release_lock)
POLL_S = 0.1
NAMESPACE = "default"
LATER_S = 30 * 24 * 3600.0  # sweep comes when every deadline has passed
WHO = "whoever found it"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One process's work."""

    verb: Verb
    folder: Path
    environment: dict[str, str]
    name: str
    release_id: str
    base: int  # what the versions of this service have gone up by before this cell
    version: int  # of the model that is released, or rolled back to
    uri: str
    course: Course
    mode: Mode
    patience: Patience
    alias: Path  # the registry: which version the alias names
    steps: tuple[int, ...] = (10, 50, 100)
    kill: tuple[str, int, Moment] | None = None

    @property
    def policy(self) -> Policy:
        """Of the release."""
        return policy(
            self.name, self.mode, version=self.version, fate=self.course.fate, initial=self.course.initial,
            baseline=self.course.baseline, steps=self.steps, patience=self.patience,
        )  # fmt: skip

    def is_about(self, journal: Journal) -> bool:
        """A journal of what is killed; a roll-back to an earlier version chooses its release's id itself."""
        if self.course.verb == "rollback":
            return journal.release_id.startswith("rollback-")
        return journal.release_id == self.release_id

    @property
    def writes(self) -> Path:
        """A line for every API write, before it is sent."""
        return self.folder / "writes"

    @property
    def log(self) -> Path:
        """What the process said."""
        return self.folder / "log"

    @property
    def result(self) -> Path:
        """What came of it, when it lived to tell."""
        return self.folder / "result"


def act(job: Job) -> None:
    """The process's main function; it exits 0 when the verb returned."""
    os.environ.update(job.environment)
    with job.log.open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(stream=sys.stderr, format="%(relativeCreated)6d ms %(message)s", force=True)
    logging.getLogger("tidegate").setLevel(logging.INFO)
    watch_writes(job.writes, job.kill, job.base)
    with connect() as kube:
        came = VERBS[job.verb](kube, job)
    job.result.write_text(json.dumps(came))


# -- the verbs


def _release(kube: Kubernetes, job: Job) -> Any:
    """deploy, gate, then promote or roll-back: what the pipeline does."""
    document = published(job.uri, job.version)
    deployed = staged(kube, document, job.policy, job.release_id, poll_s=POLL_S)
    if isinstance(deployed, Refusal):
        return _told(_returned(kube, job, deployed))
    return _judged(kube, job, deployed)


def _judged(kube: Kubernetes, job: Job, deployed: Deployment) -> Any:
    said = verdict(deployed.subject, job.release_id, job.course.gate)
    if said.word is Word.PASS:
        return _told(_promoted(kube, job, deployed))
    return _told(_returned(kube, job, said))


def _promoted(kube: Kubernetes, job: Job, deployed: Deployment) -> Outcome:
    return promoted(
        kube, deployed, job.policy, judge=partial(_live, job.course), aliases=aliases_in(job.alias),
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip


def _returned(kube: Kubernetes, job: Job, why: Verdict | Refusal) -> Outcome:
    return returned(kube, why, job.policy, job.release_id, poll_s=POLL_S)


def _resume(kube: Kubernetes, job: Job) -> Any:
    """`tidegate resume`; where it says to start the run again with the same release id, that."""
    stored = load_journal(kube, NAMESPACE, job.name)
    ours = stored is not None and job.is_about(stored.journal)
    is_staging = stored is not None and stored.journal.phase in {Phase.STAGING, Phase.STAGED}
    if stored is None or not ours or (is_staging and not stored.journal.fast_track):
        again = _rollback if job.course.verb == "rollback" else _release
        return again(kube, job)
    journal = resumed(
        kube, stored, who=WHO, judge=partial(_live, job.course), aliases=aliases_in(job.alias),
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip
    return journal.outcome


def _abort(kube: Kubernetes, job: Job) -> Any:
    """`tidegate abort`; a promotion that has ended is told apart, and left."""
    stored = load_journal(kube, NAMESPACE, job.name)
    if stored is None or not job.is_about(stored.journal):
        return None
    try:
        return aborted(kube, stored, who=WHO, poll_s=POLL_S).outcome
    except ConflictError:
        now = load_journal(kube, NAMESPACE, job.name)
        if now and now.journal.outcome is Result.PROMOTED:
            return Result.PROMOTED
        raise


def _rollback(kube: Kubernetes, job: Job) -> Any:
    """`tidegate rollback --to <version> --abort`: also the second time, over what the first one left."""
    stored = load_journal(kube, NAMESPACE, job.name)
    assert stored is not None
    journal = rolled_back(
        kube, stored, str(job.version), who=WHO, aliases=aliases_in(job.alias), abort_first=True,
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip
    return journal.outcome


def _guard(kube: Kubernetes, job: Job) -> Any:
    journal = guarded(kube, job.release_id, NAMESPACE, poll_s=POLL_S)
    return journal.outcome if journal else None


def _sweep(kube: Kubernetes, _job: Job) -> None:
    swept(kube, NAMESPACE, now_s=time.time() + LATER_S, poll_s=POLL_S)


VERBS = {
    "release": _release, "resume": _resume, "abort": _abort, "rollback": _rollback,
    "guard": _guard, "sweep": _sweep,
}  # fmt: skip


def _told(outcome: Outcome) -> str:
    return outcome.result.value


# -- the evidence, which is not what is tried here


def _live(
    course: Course, deployed: Deployment, _policy: Policy, *, percent: int, since_s: float
) -> LiveEvidence:
    if course.crashes_at == percent:
        _crash(deployed)
    return LiveEvidence(word=course.word(percent), reason="as the course wants it")


def _crash(deployed: Deployment) -> None:
    """Make the candidate's container be seen crashed."""
    url = served_model.url_of(deployed.candidate_host)
    httpx.post(f"{url}{CRASH_PATH}", headers={"Host": deployed.candidate_host}, timeout=10)
