"""Plays a story of `failure_table.yaml`: what is done, what the cluster shows, what a driver decides."""

from dataclasses import dataclass
from typing import Any

from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.core.decisions import Act, Decision, Done, Prove, Refuse, Wait
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.manifest import snapshot
from tidegate.core.observation import Observation
from tidegate.core.traffic import rules_of
from tidegate.documents import Incumbent, Subject
from tidegate.sandbox.api.kinds import REVISIONS
from tidegate.sandbox.interfaces import RevisionStatus

from .emulated_cluster import Cluster, revision
from .fake_data_plane import LOADING

FATES = {
    "crashes": RevisionStatus(
        phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139, restarts=3
    ),
    "cannot read its storage": RevisionStatus(
        phase="Failed", reason="StorageInitializerFailed", message="no such key", exit_code=1
    ),
    "fails to load its model": RevisionStatus(
        phase="Failed", reason="ModelLoadFailed", message="unexpected dims", exit_code=1
    ),
    "goes on loading": LOADING,
}


def uri(version: int) -> str:
    return f"s3://models/v{version}/"


@dataclass
class Player:
    """A cluster in which a release of version 3 over version 2 begins."""

    cluster: Cluster
    journal: Journal
    began_s: float
    known: frozenset[str]
    last: Decision | None = None

    @classmethod
    def at_the_start(cls, cluster: Cluster) -> "Player":
        """Versions 1 and 2 were promoted; nothing of the release has been done."""
        cluster.promoted()
        player = cls(cluster, _blank(), cluster.now, frozenset())
        player.known = frozenset(player.service.warnings())
        seen = player.look()
        incumbent = Incumbent(
            revision=revision(2),
            storage_uri=uri(2),
            predictor=snapshot(seen.predictor, uri(2), {}),
        )
        player.journal = player.journal.model_copy(
            update={
                "isvc_uid": seen.uid, "incumbent": incumbent, "created_before": seen.created,
                "uri_before": seen.storage_uri,
            }
        )  # fmt: skip
        return player

    @property
    def service(self) -> InferenceServices:
        return InferenceServices(Kubernetes(self.cluster.client), "default", "digits")

    def look(self) -> Observation:
        seen = self.service.look(known_warnings=self.known)
        assert seen
        return seen

    # -- what is done

    def do(self, what: str) -> None:
        """One sentence of the table."""
        match what.split(" ", 1):
            case ["stage", given]:
                self._stage(given)
            case ["percent", given]:
                self._carry_out(Act(kind=ActKind.SHIFT, percent=int(given), why=what))
            case ["revision", given]:
                number, _, fate = given.partition(" ")
                self._meet(int(number), fate)
            case [seconds, "seconds pass"]:
                self.cluster.now += float(seconds)
                self.cluster.loop.settle()
            case ["the", "act is done"]:
                assert isinstance(self.last, Act)
                self._carry_out(self.last)
            case _:
                raise ValueError(what)

    def _stage(self, given: str) -> None:
        """`v3`, or another URI, or a model field: `runtime nope`."""
        key, _, value = given.partition(" ")
        wanted = {"model": {key: value}} if value else {"model": {"storageUri": given}}
        if given == "v3":
            wanted = {"model": {"storageUri": uri(3)}}
        target = wanted["model"].get("storageUri", uri(3))
        wanted["model"]["storageUri"] = target
        self.journal = self.journal.model_copy(update={"storage_uri": target})
        self.cluster.patch({"spec": {"predictor": {**wanted, "canaryTrafficPercent": 0}}})
        self.journal = self.journal.model_copy(update={"template": self.look().template})
        self._note(Act(kind=ActKind.STAGE, percent=0, why=given))

    def _meet(self, number: int, fate: str) -> None:
        if fate == "is ready":
            self.cluster.ready(number)
        else:
            self.cluster.runtime.seen[revision(number)] = FATES[fate]
            self.cluster.loop.settle()

    def _note(self, act: Act) -> None:
        """In the journal, as meant and seen; with the candidate's revision once there is one."""
        record = ActRecord(kind=act.kind, percent=act.percent, intended_s=self.cluster.now)
        self.journal = self.journal.intending(record).confirming(self.cluster.now)
        created = self.look().created
        if act.kind is ActKind.STAGE and created != self.journal.created_before:
            self.journal = self.journal.model_copy(update={"candidate_revision": created})

    def _carry_out(self, act: Act) -> None:
        seen = self.look()
        self._note(act)
        if act.kind is ActKind.FREE:
            self.cluster.api.store.delete(REVISIONS, "default", act.revision)
            self.cluster.loop.settle()
            return
        self.cluster.patch(rules_of(self.journal).patch_of(act, seen, self.journal, {}))

    # -- what it shows, and what a driver decides

    def shows(self) -> dict[str, Any]:
        """Everything that the table may speak of."""
        seen = self.look()
        tags = {share.tag: _number(share.revision) for share in seen.shares if share.tag}
        conditions = {name: f"{c.status} {c.reason}".strip() for name, c in seen.conditions.items()}
        revisions = {
            f"revision {_number(r.name)}": f"{r.ready.status} {r.ready.reason}".strip()
            for r in seen.revisions.values()
        }
        return {
            "created": _number(seen.created),
            "ready": _number(seen.ready),
            "rolled out": _number(seen.rolled_out),
            "production": self.cluster.shares(),
            "status": {_number(name): percent for name, percent in seen.traffic.items()},
            **tags,
            **conditions,
            **revisions,
            "transition": seen.transition,
            "failure": seen.failure,
            "event": " ".join(seen.warnings),
        }

    def decides(self, question: str) -> str:
        """The answer of the rules: `stage`, `step 10` or `return`, as of now."""
        seen, journal, rules = self.look(), self.journal, rules_of(self.journal)
        waited = self.cluster.now - self.began_s
        if question == "stage":
            self.last = rules.next_for_stage(seen, journal, waited)
        elif question == "return":
            self.last = rules.next_for_return(seen, journal, waited)
        else:
            self.last = rules.next_for_step(seen, journal, int(question.removeprefix("step ")))
        return _said(self.last)


def _said(decision: Decision) -> str:
    match decision:
        case Act(kind=kind, percent=percent):
            return f"{kind}" if percent is None else f"{kind} {percent}"
        case Wait(what=what, suspicion=suspicion):
            return f"wait for {what}" + (f", suspecting {suspicion}" if suspicion else "")
        case Done(what=what):
            return f"done: {what}"
        case Refuse(word=word, reason=reason):
            return f"refuse, {word}: {reason}"
        case Prove(revision=name):
            return f"ask {name}"


def _number(name: str) -> int:
    return int(name.rpartition("-")[2]) if name else 0


def _blank() -> Journal:
    subject = Subject(model="digits", version="3", digest=f"sha256:{3:064d}")
    return Journal(
        release_id="r3", subject=subject, namespace="default", name="digits", deadline_s=1e12,
        storage_uri=uri(3),
    )  # fmt: skip
