"""What the rules of traffic may decide; the same words in every deployment mode. Pure."""

from dataclasses import dataclass

from tidegate.core.diagnosis import Diagnosis
from tidegate.core.journal import ActKind, Journal
from tidegate.documents import Probe, Word

SUSPICION_S = 5.0  # a restart shows trouble for a moment
RECONCILE_S = 60.0  # a spec that KServe has not acted on by then, it will not act on


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Write this to the InferenceService (FREE: delete this revision; BASELINE: create this copy)."""

    kind: ActKind
    percent: int | None = None
    pods: int | None = None  # of the candidate, where the rules count them (Standard mode)
    revision: str = ""
    name: str = ""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again soon. A suspicion `about` the same thing at every look for `persist_s` is a refusal;
    `word` is what it means then, or when this wait never ends."""

    what: str
    suspicion: str = ""
    about: str = ""
    persist_s: float = SUSPICION_S
    word: Word = Word.INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was wanted is so, as the cluster shows it."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """It will not come to be. `foreign`: because somebody else changed the object; `urgent`: users are
    being hurt, so a cold incumbent beats a warm candidate."""

    word: Word
    reason: str
    foreign: bool = False
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove:
    """Ask this host before anything relies on the revision behind it."""

    revision: str
    host: str
    probe: Probe

    @property
    def key(self) -> str:
        """How the journal notes that it was answered."""
        return f"{self.revision} at {self.host}"


Decision = Act | Wait | Done | Refuse | Prove


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """What has been suspected at every look since then; another suspicion begins anew."""

    about: str = ""
    since_s: float = 0.0

    def after(self, decision: Decision, waited_s: float) -> "Suspicion":
        """With one more look."""
        said = decision if isinstance(decision, Wait) else None
        about = said.about or said.suspicion if said else ""
        return self if about and about == self.about else Suspicion(about=about, since_s=waited_s)

    def refusal(self, decision: Decision, waited_s: float) -> Refuse | None:
        """What it has come to by persisting."""
        if not self.about or not isinstance(decision, Wait):
            return None
        if waited_s - self.since_s <= decision.persist_s:
            return None
        return Refuse(word=decision.word, reason=decision.suspicion)


def diagnosed(diagnosis: Diagnosis, what: str) -> Refuse | Wait:
    """Something that does not come up: refused when that is certain, else suspected."""
    said = f"{what}: {diagnosis.message}"
    if diagnosis.certain:
        return Refuse(word=diagnosis.word, reason=said)
    return Wait(
        what=f"this to pass: {said}",
        suspicion=said,
        about=diagnosis.about,
        persist_s=diagnosis.persist_s,
        word=diagnosis.word,
    )


def unproved(revision: str, host: str, probe: Probe | None, journal: Journal) -> Prove | None:
    """What must be asked first; None when it was answered in this phase, or nobody knows how to ask."""
    if probe is None or not host:
        return None
    proof = Prove(revision=revision, host=host, probe=probe)
    return None if proof.key in journal.proofs else proof


def foreign(reason: str) -> Refuse:
    """Somebody else changed the object: the evidence is about something that is no longer so."""
    return Refuse(word=Word.INVALID, reason=reason, foreign=True)
