"""A candidate on its way up: what KServe does not act on, what does not start, what still loads. Pure.

The rules of both modes ask here; which revision it is about, and when it is up, they know themselves.
"""

from dataclasses import replace

from tidegate.core.decisions import RECONCILE_S, Refuse, Wait, diagnosed
from tidegate.core.diagnosis import CRASHES, SPEC_REASONS, Diagnosis
from tidegate.core.last_words import last_words
from tidegate.core.observation import Observation
from tidegate.core.readiness import failure_of, suspicion_of
from tidegate.documents import Word

COMPANION_S = 45.0  # what asks the predictor as it starts may have crashed before that was up


def refused_spec(seen: Observation) -> Refuse | Wait | None:
    """KServe says that it cannot act on the spec, for a reason that is known."""
    if seen.diagnosis and seen.diagnosis.reason in SPEC_REASONS:
        return diagnosed(seen.diagnosis, "KServe refused the spec")
    return None


def unreconciled(seen: Observation, waited_s: float, *, what: str) -> Refuse | Wait:
    """KServe has made nothing of the spec. A bad URI leaves only an Event, and the old Ready stays; but so
    does an error of KServe's own that passes at its next try. Neither says anything of the model. What keeps
    an older revision from getting ready is not about this spec."""
    if refused := refused_spec(seen):
        return refused
    if seen.warnings:
        said = f"KServe did not act on the spec: {seen.warnings[-1]}"
        return Wait(what=f"this to pass: {said}", suspicion=said, about="InternalError")
    if waited_s > RECONCILE_S:
        reason = f"no {what} within {RECONCILE_S:g} s; look at KServe's controller"
        return Refuse(word=Word.INVALID, reason=reason)
    suspicion = suspicion_of(seen) if seen.transition == "InvalidSpec" else ""
    return Wait(what=f"KServe to create {what}", suspicion=suspicion)


def starting(seen: Observation, name: str) -> Refuse | Wait:
    """The revision is there and not ready yet; or why it never will be."""
    if seen.diagnosis:
        return diagnosed(seen.diagnosis, f"{name} does not start")
    if failure := failure_of(seen, name):
        return Refuse(word=Word.FAIL, reason=f"{name} does not start: {failure}")
    held = seen.revisions.get(name)
    shown = [held.ready.reason] if held and held.ready.reason else []
    shown += [f"not seen: {u}" for u in seen.unseen]
    why = f" ({'; '.join(shown)})" if shown else ""
    return Wait(what=f"{name} to load{why}", word=Word.FAIL)


def unready_companion(seen: Observation, *, is_asked: bool = True) -> Refuse | Wait | None:
    """The transformer or explainer that does not come up; None while it only loads.

    `is_asked`: the predictor is ready. Until then a crash may be for want of it, and says nothing. Where the
    pods show nothing, KServe has the container's last lines in the condition.
    """
    for kind in seen.companions:
        found = seen.troubled.get(kind)
        if found and (is_asked or found.reason not in CRASHES):
            return diagnosed(_lasting(found), f"spec.{kind} does not start")
        shown = seen.condition(f"{kind.capitalize()}Ready")
        if is_asked and not found and shown.status == "False":
            said = f"spec.{kind} does not start: {_words(shown.reason, shown.message)}"
            return Wait(
                what=f"this to pass: {said}", suspicion=said, about=kind, persist_s=COMPANION_S
            )
    return None


def _lasting(found: Diagnosis) -> Diagnosis:
    """A crash that began before the predictor was up may not come again."""
    if found.reason not in CRASHES:
        return found
    return replace(found, persist_s=max(found.persist_s, COMPANION_S))


def _words(reason: str, message: str) -> str:
    """Which revision, and the last thing that its container said."""
    first, *rest = message.splitlines() or [""]
    return f"{reason}: {first}" + (f" ... {last_words(rest)}" if rest else "")
