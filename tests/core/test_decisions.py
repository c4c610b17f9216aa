"""What a diagnosis does to a decision, and how long a suspicion must last."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from tests.core.test_readiness import NEW, OLD, PREDICTOR, R1, R2, revision, seen
from tidegate.core import knative
from tidegate.core.decisions import (
    SUSPICION_S,
    Done,
    Refuse,
    Suspicion,
    Wait,
    diagnosed,
)
from tidegate.core.diagnosis import Diagnosis, Reason
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.observation import Observation
from tidegate.documents import Incumbent, Subject, Word


def trouble(reason: Reason = Reason.CRASH_LOOP, persist_s: float = 0.0) -> Diagnosis:
    return Diagnosis(reason=reason, words="boom", persist_s=persist_s)


def journal(**changes: Any) -> Journal:
    subject = Subject(model="fraud", version="8", digest=f"sha256:{0:064d}")
    incumbent = Incumbent(revision=R1, storage_uri=OLD, predictor={"model": {"storageUri": OLD}})
    base = Journal(
        release_id="a", subject=subject, namespace="prod", name="fraud", deadline_s=100,
        storage_uri=NEW, uri_before=OLD, created_before=R1, isvc_uid="u", incumbent=incumbent,
        candidate_revision=R2,
    )  # fmt: skip
    return base.model_copy(update=changes)


def loading(diagnosis: Diagnosis | None = None, **ready: str) -> Observation:
    """R2 is ours, newest and not ready."""
    shown = revision(R2, NEW, status="Unknown", **ready)
    observation = seen(
        (f"{PREDICTOR}.latestReadyRevision", R1), revisions=[revision(R1, OLD), shown]
    )
    return replace(observation, diagnosis=diagnosis)


def unreconciled(diagnosis: Diagnosis) -> Observation:
    """KServe has not yet made a revision of our spec; the newest one is of before."""
    return replace(seen((f"{PREDICTOR}.latestCreatedRevision", R1)), diagnosis=diagnosis)


@pytest.mark.parametrize(
    ("reason", "word"), [(Reason.MODEL_LOAD, Word.FAIL), (Reason.IMAGE_PULL, Word.INVALID)]
)
def test_a_certain_diagnosis_of_the_candidate_is_a_refusal_with_its_word(
    reason: Reason, word: Word
) -> None:
    found = knative.next_for_stage(loading(trouble(reason)), journal(), 1)
    assert isinstance(found, Refuse)
    assert (found.word, f"{reason}: boom" in found.reason) == (word, True)


def test_a_suspicion_is_waited_with_and_said() -> None:
    found = knative.next_for_stage(loading(trouble(Reason.UNSCHEDULABLE, 40)), journal(), 1)
    assert isinstance(found, Wait)
    assert (found.about, found.persist_s, found.word) == ("UNSCHEDULABLE", 40, Word.INVALID)
    assert "UNSCHEDULABLE: boom" in found.what


def test_a_candidate_without_a_diagnosis_is_waited_for_without_suspicion() -> None:
    found = knative.next_for_stage(loading(), journal(), 1)
    assert isinstance(found, Wait)
    assert (found.suspicion, found.word) == ("", Word.FAIL)


def test_an_old_failure_that_kserve_never_cleared_is_no_suspicion() -> None:
    stale = replace(loading(), transition="BlockedByFailedLoad", failure="long ago")
    found = knative.next_for_stage(stale, journal(), 1)
    assert isinstance(found, Wait)
    assert found.suspicion == ""


def test_pods_that_cannot_be_seen_are_said_while_waiting() -> None:
    blind = replace(loading(), unseen=("pods, the Role does not allow it",))
    found = knative.next_for_stage(blind, journal(), 1)
    assert isinstance(found, Wait)
    assert "not seen: pods, the Role does not allow it" in found.what


def test_trouble_of_the_revision_before_is_not_trouble_of_our_spec() -> None:
    found = knative.next_for_stage(unreconciled(trouble(Reason.MODEL_LOAD)), journal(), 1)
    assert isinstance(found, Wait)
    assert found.suspicion == ""


def test_an_error_of_kserves_own_is_suspected_and_never_blamed_on_the_model() -> None:
    """It may pass: the API or a webhook was away for a moment, and KServe tries again."""
    shown = replace(unreconciled(trouble(Reason.MODEL_LOAD)), warnings=("etcd is away",))
    found = knative.next_for_stage(shown, journal(), 1)
    assert isinstance(found, Wait)
    assert (found.suspicion, found.word) == (
        "KServe did not act on the spec: etcd is away", Word.INVALID
    )  # fmt: skip


def test_a_spec_that_was_refused_is_told_apart_from_one_not_yet_acted_on() -> None:
    found = knative.next_for_stage(unreconciled(trouble(Reason.WEBHOOK_REJECTED)), journal(), 1)
    assert isinstance(found, Refuse)
    assert found.word is Word.INVALID
    assert "KServe refused the spec: WEBHOOK_REJECTED: boom" in found.reason


def test_a_candidate_that_falls_in_its_bake_takes_the_word_of_its_diagnosis() -> None:
    act = ActRecord(kind=ActKind.STAGE, percent=0, intended_s=1)
    fallen = loading(trouble(Reason.EVICTED, 20))
    found = knative.trouble_of(fallen, journal(template=fallen.template, acts=(act,)))
    assert found
    assert (found.word, "EVICTED: boom" in found.reason) == (Word.INVALID, True)


@pytest.mark.parametrize(("persist_s", "kind"), [(0, Refuse), (40, Wait), (inf, Wait)])
def test_a_restore_is_given_up_only_for_what_is_certain(
    persist_s: float, kind: type[Refuse | Wait]
) -> None:
    r3 = "fraud-predictor-00003"
    restored = seen(
        (f"{PREDICTOR}.latestCreatedRevision", r3), ("spec.predictor.model.storageUri", OLD),
        revisions=[revision(R1, OLD), revision(R2, NEW), revision(r3, OLD, status="Unknown")],
    )  # fmt: skip
    ill = replace(restored, diagnosis=trouble(Reason.UNSCHEDULABLE, persist_s))
    found = knative.next_for_return(ill, journal(), 1)
    assert isinstance(found, kind)
    assert "UNSCHEDULABLE: boom" in (found.reason if isinstance(found, Refuse) else found.what)


# -- suspicions


def suspected(persist_s: float = 10, reason: Reason = Reason.CRASH_LOOP) -> Wait:
    found = diagnosed(trouble(reason, persist_s), "r2 does not start")
    assert isinstance(found, Wait)
    return found


def looked(*looks: tuple[float, Wait | Done]) -> Refuse | None:
    """The refusal of the last look."""
    held = Suspicion()
    for at, decision in looks:
        held = held.after(decision, at)
    return held.refusal(looks[-1][1], looks[-1][0])


FINE = Wait(what="r2 to load")


def test_a_suspicion_at_every_look_for_long_enough_is_a_refusal() -> None:
    assert looked((3, suspected()), (13, suspected())) is None
    refusal = looked((3, suspected()), (8, suspected()), (13.1, suspected()))
    assert refusal
    assert (refusal.word, "CRASH_LOOP: boom" in refusal.reason) == (Word.FAIL, True)


def test_one_look_without_it_begins_anew() -> None:
    assert looked((0, suspected()), (9, FINE), (10, suspected()), (19, suspected())) is None


def test_another_suspicion_begins_anew() -> None:
    other = suspected(reason=Reason.IMAGE_PULL)
    assert looked((0, suspected()), (9, other), (18, other)) is None
    assert looked((0, suspected()), (9, other), (20, other))


def test_the_same_suspicion_in_other_words_goes_on() -> None:
    reworded = replace(suspected(), suspicion="boom, in other words")
    assert looked((0, suspected()), (11, reworded))


def test_what_may_be_about_to_work_is_suspected_for_ever() -> None:
    assert looked((0, suspected(inf)), (1e9, suspected(inf))) is None


def test_a_suspicion_without_a_name_is_known_by_its_words() -> None:
    plain = Wait(what="KServe", suspicion="InvalidSpec")
    assert looked((0, plain), (SUSPICION_S + 1, plain))
    assert looked((0, plain), (SUSPICION_S + 1, replace(plain, suspicion="other"))) is None
