"""Carries out one act on an InferenceService; the driver has journalled it and holds the Lease."""

from typing import TYPE_CHECKING

from tidegate.core.decisions import Act
from tidegate.core.first_release import manifest_of
from tidegate.core.journal import ActKind, Journal
from tidegate.core.keda_scaling import is_ours, wanted_for
from tidegate.core.manifest import Json, predictor
from tidegate.core.traffic import rules_of
from tidegate.errors import ConflictError, RejectedError
from tidegate.policy import Policy

if TYPE_CHECKING:
    from tidegate.core.observation import Observation
    from tidegate.steps.traffic_driver import Driver


def written(
    driver: "Driver", act: Act, seen: "Observation | None", policy: Policy | None
) -> "Observation | None":
    """The object as the API then has it; None when the act removed something. Raises ConflictError when it is
    gone. Only deploy and promote create or stage, and those have the policy."""
    service, journal = driver.service, driver.journal
    if act.kind is ActKind.BASELINE:
        return service.create(journal.copy_named(act.name).manifest)
    if act.kind in {ActKind.CREATE, ActKind.PREVIEW}:
        assert policy is not None
        return service.create(manifest_of(act.kind, journal, policy))
    if seen is None:
        raise ConflictError(f"{journal.name} is gone; look again")
    if act.kind is ActKind.FOLLOW:
        assert policy is not None
        wanted = wanted_for(policy, act.name)
        assert wanted is not None  # who decided it had one
        driver.scaled_objects.create(wanted)
        return None
    if act.kind is ActKind.UNFOLLOW:
        _unfollow(driver, act.name)
        return None
    if act.kind in {ActKind.DELETE, ActKind.DISCARD, ActKind.RETIRE}:
        service.delete(seen.uid)
        return None
    if act.kind is ActKind.FREE:
        _free(driver, act.revision)
        return None
    wanted = _wanted(journal, policy) if act.kind is ActKind.STAGE else {}
    return service.patch(rules_of(journal).patch_of(act, seen, journal, wanted))


def _unfollow(driver: "Driver", name: str) -> None:
    """Asked again whose it is: somebody may have put theirs there since it was decided."""
    held = driver.scaled_objects.look(name)
    if held is not None and is_ours(held):
        driver.scaled_objects.delete(held)


def _free(driver: "Driver", revision: str) -> None:
    """An account that may not delete revisions waits for the re-created one instead."""
    try:
        driver.service.delete_revision(revision)
    except RejectedError as error:
        driver.say(f"{revision} was not deleted: {error}")


def _wanted(journal: Journal, policy: Policy | None) -> Json:
    if journal.wanted:
        return journal.wanted
    assert policy is not None
    return predictor(policy, journal.storage_uri, journal.subject.version).as_dict()
