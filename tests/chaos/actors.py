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
from typing import Any, Literal

import httpx
import kubernetes.client.exceptions
import kubernetes.config

from tests.chaos.courses import Course, Mode, Patience, policy, published, verdict
from tests.chaos.dying import Moment, watch_writes
from tests.chaos.light_runtime import CRASH_PATH
from tidegate.adapters import inference_service, release_lock, served_model
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.adapters.release_lock import load_journal
from tidegate.core.journal import Phase
from tidegate.documents import Deployment, Outcome, Refusal, Verdict, Word
from tidegate.operations.resume import resumed
from tidegate.policy import Policy
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.live_gate import LiveEvidence
from tidegate.steps.promote import Aliases, promoted
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept

PRELOADED = (kubernetes.client.exceptions, kubernetes.config, inference_service, release_lock)
POLL_S = 0.1
NAMESPACE = "default"
LATER_S = 30 * 24 * 3600.0  # sweep comes when every deadline has passed

ALIASES = Aliases(names=lambda _model, _alias: "1", move=lambda *_: None)

Verb = Literal["release", "resume", "guard", "sweep", "nobody"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One process's work."""

    verb: Verb
    folder: Path
    environment: dict[str, str]
    name: str
    release_id: str
    version: int
    uri: str
    course: Course
    mode: Mode
    patience: Patience
    kill: tuple[str, int, Moment] | None = None

    @property
    def policy(self) -> Policy:
        """Of the release."""
        return policy(self.name, self.mode, fate=self.course.fate, patience=self.patience)

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
    watch_writes(job.writes, job.kill)
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
        kube, deployed, job.policy, judge=partial(_live, job.course), aliases=ALIASES,
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip


def _returned(kube: Kubernetes, job: Job, why: Verdict | Refusal) -> Outcome:
    return returned(kube, why, job.policy, job.release_id, poll_s=POLL_S)


def _resume(kube: Kubernetes, job: Job) -> Any:
    """`tidegate resume`; where it says to start the run again with the same release id, that."""
    stored = load_journal(kube, NAMESPACE, job.name)
    ours = stored is not None and stored.journal.release_id == job.release_id
    if stored is None or not ours or stored.journal.phase in {Phase.STAGING, Phase.STAGED}:
        return _release(kube, job)
    journal = resumed(
        kube, stored, who="whoever found it", judge=partial(_live, job.course), aliases=ALIASES,
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip
    return journal.outcome


def _guard(kube: Kubernetes, job: Job) -> Any:
    journal = guarded(kube, job.release_id, NAMESPACE, poll_s=POLL_S)
    return journal.outcome if journal else None


def _sweep(kube: Kubernetes, _job: Job) -> None:
    swept(kube, NAMESPACE, now_s=time.time() + LATER_S, poll_s=POLL_S)


VERBS = {"release": _release, "resume": _resume, "guard": _guard, "sweep": _sweep}


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
