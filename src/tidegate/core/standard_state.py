"""Standard mode: where a release stands, as the spec shows it. Pure.

Before: the stable predictor is the incumbent, our candidate may be an entry of `spec.canary`. Promoted: the
stable predictor is our candidate, and the incumbent may be the entry, coming back.
"""

from tidegate.core.decisions import Refuse, foreign
from tidegate.core.journal import Journal
from tidegate.core.manifest import Json
from tidegate.core.observation import Canary, Observation
from tidegate.core.standard_manifest import deployment_name, other, promoted
from tidegate.core.standard_readiness import is_alone
from tidegate.documents import Incumbent, Word


def candidate_name(incumbent: Incumbent) -> str:
    """Of the entry, and of the stable predictor once it is promoted."""
    return other(str(incumbent.predictor.get("name", "")))


def returning_name(incumbent: Incumbent) -> str:
    """Under which the incumbent comes back after a promotion; one without a name needs one."""
    return str(incumbent.predictor.get("name", "")) or other(candidate_name(incumbent))


def _serves(seen: Observation, names: set[str], storage_uri: str) -> bool:
    return seen.predictor.get("name", "") in names and seen.storage_uri == storage_uri


def is_before(seen: Observation, incumbent: Incumbent) -> bool:
    """The stable predictor is the incumbent."""
    names = {str(incumbent.predictor.get("name", "")), returning_name(incumbent)}
    return _serves(seen, names, incumbent.storage_uri)


def is_promoted(seen: Observation, journal: Journal, incumbent: Incumbent) -> bool:
    """The stable predictor is our candidate."""
    return _serves(seen, {candidate_name(incumbent)}, journal.storage_uri)


def promoted_of(journal: Journal, incumbent: Incumbent) -> Json:
    """The stable predictor after the promotion. One that is brought back is as it was then: what the entry
    inherited from the predictor of today goes again, for which its pods are made anew, one after another."""
    if journal.wanted:
        return {**journal.wanted, "name": candidate_name(incumbent)}
    gone = {one.path[0] for one in journal.drops}
    return promoted(journal.template, journal.policy, gone)


def stable_of(seen: Observation, journal: Journal) -> str:
    """The Deployment of the stable predictor."""
    return deployment_name(journal.name, str(seen.predictor.get("name", "")))


def ours_of(seen: Observation, name: str, storage_uri: str) -> Canary | None:
    """The entry of this name and model; another model under the name is somebody else's."""
    return next((c for c in seen.canary if (c.name, c.storage_uri) == (name, storage_uri)), None)


def others_of(seen: Observation, ours: Canary | None) -> str:
    """Somebody else's entries, in words, and what they put before the predictor: none was there when the
    release began (`standard_claim`), and a canary's share goes past it."""
    entries = [
        f"spec.canary names {c.name} ({c.storage_uri}) at {c.percent} %"
        for c in seen.canary
        if c is not ours
    ]
    return ", ".join([*entries, *(f"spec.{kind} was added" for kind in seen.companions)])


def gone_of(seen: Observation | None, journal: Journal) -> Refuse | None:
    """Why the object is no longer the one that this release is about."""
    if seen is None or seen.deleting or seen.uid != journal.isvc_uid:
        return foreign("the InferenceService was deleted or replaced")
    return None


# -- in words


def held_up(seen: Observation) -> str:
    """Why routes may not come (HR:260-266, 517-565), to be added to a wait for them."""
    late = [
        f"spec.{kind}" for kind in seen.companions if not seen.is_true(f"{kind.capitalize()}Ready")
    ]
    if not seen.is_true("PredictorReady"):
        late.insert(0, "the stable predictor")
    return f", which KServe does not write while {late[0]} is not ready" if late else ""


def unready_of(seen: Observation, name: str) -> Refuse | None:
    """Only a plain no: while pods are added, the Deployment's state is unknown for a moment."""
    held = seen.revisions.get(name)
    if held is not None and held.ready.status != "False":
        return None
    found = seen.diagnosis if name == seen.created else None
    shown = (
        f"{held.ready.reason} {held.ready.message}".strip() if held else "its Deployment is gone"
    )
    said, word = (found.message, found.word) if found else (shown, Word.FAIL)
    return Refuse(word=word, reason=f"{name} is no longer ready: {said}")


def is_live(seen: Observation, name: str, journal: Journal) -> bool:
    """A first release: the stable predictor is ours, ready, and has everything."""
    held = seen.revisions.get(name)
    return (
        held is not None
        and held.storage_uri == journal.storage_uri
        and seen.is_healthy(name)
        and held.replicas >= seen.min_replicas
        and is_alone(seen, name)
        and seen.is_true("Ready")
    )
