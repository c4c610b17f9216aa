"""What the rules of traffic may decide; the same words in every deployment mode. Pure."""

from dataclasses import dataclass

from tidegate.core.journal import ActKind, Journal
from tidegate.documents import Probe, Word

RECONCILE_S = 60.0  # a spec that KServe has not acted on by then, it will not act on


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Write this to the InferenceService (FREE: delete this revision)."""

    kind: ActKind
    percent: int | None = None
    pods: int | None = None  # of the candidate, where the rules count them (Standard mode)
    revision: str = ""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again soon. A suspicion that persists over several looks is a refusal; `word` is what it means
    when this wait never ends."""

    what: str
    suspicion: str = ""
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


def unproved(revision: str, host: str, probe: Probe | None, journal: Journal) -> Prove | None:
    """What must be asked first; None when it was answered in this phase, or nobody knows how to ask."""
    if probe is None or not host:
        return None
    proof = Prove(revision=revision, host=host, probe=probe)
    return None if proof.key in journal.proofs else proof


def foreign(reason: str) -> Refuse:
    """Somebody else changed the object: the evidence is about something that is no longer so."""
    return Refuse(word=Word.INVALID, reason=reason, foreign=True)
