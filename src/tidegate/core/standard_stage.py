"""Standard mode: the candidate comes up as a canary at 0 %; a first release, live. Pure."""

from tidegate.core.coming_up import refused_spec, starting, unreconciled
from tidegate.core.decisions import (
    Act,
    Decision,
    Done,
    Wait,
    foreign,
    unproved,
)
from tidegate.core.journal import ActKind, Journal
from tidegate.core.observation import Canary, Observation
from tidegate.core.standard_manifest import deployment_name
from tidegate.core.standard_readiness import (
    edits_of_canary,
    edits_of_stable,
    is_share,
    is_up,
    service_host,
)
from tidegate.core.standard_state import (
    candidate_name,
    gone_of,
    held_up,
    is_live,
    others_of,
    ours_of,
    stable_of,
)
from tidegate.documents import Word


def next_for_stage(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    """Bring the candidate up at 0 %; a first release, live."""
    incumbent = journal.incumbent
    if incumbent is None:
        return _next_for_first(seen, journal, waited_s)
    if gone := gone_of(seen, journal):
        return gone
    assert seen is not None  # `gone_of` refuses a missing object
    ours = ours_of(seen, candidate_name(incumbent), journal.storage_uri)
    if edits := edits_of_stable(seen, incumbent.predictor) or _edits(seen, ours, journal):
        return foreign(edits)
    if ours is None:
        return Act(kind=ActKind.STAGE, percent=0, why=f"stage {journal.storage_uri} at 0 %")
    return _staging(seen, ours, journal, waited_s)


def _edits(seen: Observation, ours: Canary | None, journal: Journal) -> str:
    """What somebody changed in the list; before our write of it is noted, its form is not known."""
    if others := others_of(seen, ours):
        return others
    if ours is None:
        return "our entry of spec.canary was removed" if journal.template else ""
    if ours.percent != 0:
        return f"spec.canary[0].trafficPercent was changed to {ours.percent}"
    return edits_of_canary(ours, journal) if journal.template else ""


def _staging(seen: Observation, ours: Canary, journal: Journal, waited_s: float) -> Decision:
    candidate, stable = deployment_name(journal.name, ours.name), stable_of(seen, journal)
    up = is_up(seen, ours, candidate, journal.storage_uri)
    dark = is_share(seen, ours, candidate=candidate, stable=stable)
    if up and dark and seen.is_true("CanaryPredictorReady"):
        proof = unproved(candidate, service_host(seen, candidate), journal.probe, journal)
        return proof or Done(what=f"{candidate} is ready at 0 %")
    return _coming_up(seen, candidate, journal, waited_s)


def _coming_up(seen: Observation, name: str, journal: Journal, waited_s: float) -> Decision:
    held = seen.revisions.get(name)
    if held is None or held.storage_uri != journal.storage_uri:
        return unreconciled(seen, waited_s, what=f"Deployment {name} of this model")
    found = refused_spec(seen) or starting(seen, name)
    if not isinstance(found, Wait) or found.suspicion:
        return found
    is_up = seen.is_healthy(name)
    what = f"the routes and replicas of {name}{held_up(seen)}"
    return Wait(what=what, word=Word.INVALID) if is_up else found


def _next_for_first(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    if seen is None:
        if journal.isvc_uid:
            return foreign("the InferenceService was deleted")
        return Act(kind=ActKind.CREATE, percent=100, why=f"create {journal.name}, live at once")
    if seen.storage_uri != journal.storage_uri or (journal.isvc_uid or seen.uid) != seen.uid:
        return foreign("somebody else created the InferenceService")
    if others := others_of(seen, None):
        return foreign(others)
    name = stable_of(seen, journal)
    if is_live(seen, name, journal):
        proof = unproved(name, service_host(seen, name), journal.probe, journal)
        return proof or Done(what=f"{name} is ready and live")
    return _coming_up(seen, name, journal, waited_s)


def next_for_confirm(seen: Observation | None, journal: Journal) -> Decision:
    """A first release that is live must still be what serves."""
    if seen is None or (seen.uid, seen.storage_uri) != (journal.isvc_uid, journal.storage_uri):
        return foreign("the first release was changed by somebody else")
    if edits := others_of(seen, None) or edits_of_stable(seen, journal.template):
        return foreign(edits)
    name = stable_of(seen, journal)
    if is_live(seen, name, journal):
        return Done(what=f"{name} is live")
    return Wait(what=f"{name} to be ready")
