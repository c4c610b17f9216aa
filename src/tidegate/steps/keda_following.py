"""Carries out what `core.keda_scaling` decides: KEDA scales the candidate from its first share on."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.core.decisions import RECONCILE_S, Decision, Done, Refuse
from tidegate.core.isvc.typed import Json
from tidegate.core.journal import Journal, Phase
from tidegate.core.keda_scaling import (
    candidates,
    may_be_left,
    next_for_scaler,
    next_for_unscaled,
    wanted_for,
)
from tidegate.documents import Word
from tidegate.errors import RejectedError
from tidegate.policy import Policy
from tidegate.steps.traffic_driver import GRACE_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.keda import ScaledObjects
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.core.observation import Observation


def keda_refusal(kube: "Kubernetes", policy: Policy, *, is_way_back: bool = False) -> Refuse | None:
    """Why nothing could scale as the policy says; asked before the first write.

    A way back to what was promoted before is never kept from being tried. Raises RejectedError where the
    account may not look at what scales.
    """
    from tidegate.adapters.keda import ScaledObjects

    objects = ScaledObjects(kube, policy.namespace)
    if wanted_for(policy, policy.name) is None or is_way_back:
        return None
    if objects.is_installed():
        objects.look(policy.name)
        return None
    reason = "serving.scaling is keda, and the cluster has no ScaledObjects; install KEDA"
    return Refuse(word=Word.INVALID, reason=reason)


def left_unscaled(driver: Driver, policy: Policy) -> Refuse | None:
    """Before the staging: nothing of an earlier release would scale the candidate while it is measured."""
    journal = driver.journal
    if journal.mode != "Standard" or journal.is_initial:
        return None
    refusal = _driven(driver, policy, lambda seen: leftover(driver.scaled_objects, seen, journal))
    return None if journal.fast_track else refusal  # nothing is measured; `followed` tells


def _seen(objects: "ScaledObjects", name: str) -> Json | None:
    """Where something else scales, the account need not know of KEDA."""
    try:
        return objects.look(name)
    except RejectedError:
        return None


def leftover(objects: "ScaledObjects", seen: "Observation | None", journal: Journal) -> Decision:
    """What a release does before its staging about a ScaledObject of the candidate's name."""
    if journal.mode != "Standard" or journal.is_initial or not may_be_left(seen):
        return Done(what="nothing of an earlier release scales")
    name = candidates(journal)
    return next_for_unscaled(_seen(objects, name), name)


def followed(driver: Driver, policy: Policy) -> Refuse | None:
    """Before the first share: KEDA scales the candidate by the policy's bounds and triggers, and says so.

    A first release is live all the same, and a way back goes on: what KEDA does not do is then a warning.
    """
    wanted = wanted_for(policy, candidates(driver.journal))
    if driver.journal.mode != "Standard" or wanted is None:
        return None
    name, objects = candidates(driver.journal), driver.scaled_objects
    driver.enter(Phase.PROMOTING, policy.traffic.step_timeout_s + GRACE_S)
    refusal = _driven(driver, policy, lambda _: next_for_scaler(objects.look(name), wanted))
    if refusal is None or not _goes_on(driver.journal):
        return refusal
    warned = [*driver.journal.warnings, f"nothing scales {name}: {refusal.reason}"]
    warnings = tuple(dict.fromkeys(warned))  # a second run says it again
    driver.save(driver.journal.model_copy(update={"warnings": warnings}))
    return None


def _goes_on(journal: Journal) -> bool:
    """Without KEDA: production is there already, or is to come back."""
    return journal.is_initial or journal.fast_track


def _driven(
    driver: Driver, policy: Policy, decide: Callable[["Observation | None"], Decision]
) -> Refuse | None:
    """Why it did not come to be. A way back waits no longer than a controller takes to act."""
    within = policy.traffic.step_timeout_s
    if driver.journal.fast_track:
        within = min(within, RECONCILE_S)
    try:
        closed = driver.drive(lambda seen, *_: decide(seen), within_s=within)
    except RejectedError as error:
        if not _goes_on(driver.journal):
            raise
        return Refuse(word=Word.INVALID, reason=str(error))
    if isinstance(closed, Done | Refuse):
        return closed if isinstance(closed, Refuse) else None
    reason = f"still waiting for {closed.what} after {within:g} s"
    return Refuse(word=closed.word, reason=reason)
