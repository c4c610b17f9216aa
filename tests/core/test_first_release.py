"""First release by preview: nothing is taken that this release did not create, and nothing that serves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.dark_service import GONE_S
from tidegate.core.decisions import RECONCILE_S, Act, Done, Refuse, Wait
from tidegate.core.first_release import (
    manifest_of,
    next_for_discard,
    next_for_judged,
    next_for_live,
    next_for_preview,
    next_for_withdrawal,
    preview_name,
    preview_refusal,
    unfit_name,
)
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.knative import manual_command
from tidegate.core.observation import SOURCE_URI, Observation, observe
from tidegate.documents import Subject, TrafficStep, Word
from tidegate.policy import Policy

URI, OTHER = "s3://models/fraud/1/", "s3://models/fraud/9/"
SUBJECT = Subject(model="fraud", version="1", digest=f"sha256:{0:064d}")
POLICY = Policy.model_validate({"name": "fraud", "model": {"uri": "models:/fraud/1"}})
JOURNAL = Journal(
    release_id="r1", subject=SUBJECT, namespace="default", name="fraud", deadline_s=0,
    storage_uri=URI, preview="fraud-preview", preview_uid="p1", isvc_uid="u1",
)  # fmt: skip
PROVEN = JOURNAL.model_copy(
    update={"steps": (TrafficStep(at_s=0, percent=100, revision="r-1", word=Word.PASS),)}
)


def seen(
    *,
    uid: str = "u1",
    by: str = "r1",
    uri: str = URI,
    ready: str = "True",
    deleting: bool = False,
    labels: dict[str, str] | None = None,
) -> Observation:
    """A first revision that has everything."""
    metadata: dict[str, Any] = {"uid": uid, "labels": labels or {}}
    metadata |= {"annotations": {"tidegate.dev/created-by": by}} if by else {}
    metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
    traffic = [{"revisionName": "r-1", "percent": 100, "latestRevision": True}]
    component = {
        "latestCreatedRevision": "r-1", "latestReadyRevision": "r-1",
        "latestRolledoutRevision": "r-1", "traffic": traffic,
    }  # fmt: skip
    ready_condition = {"type": "Ready", "status": ready}
    revision = {
        "metadata": {"name": "r-1", "annotations": {SOURCE_URI: uri}},
        "status": {"conditions": [ready_condition], "actualReplicas": 1},
    }
    status = {"components": {"predictor": component}, "conditions": [ready_condition]}
    spec = {"predictor": {"model": {"storageUri": uri}}}
    return observe({"metadata": metadata, "spec": spec, "status": status}, [revision])


TEMPLATE = {"template": {"model": {"storageUri": URI}}}
LIVE, PROVEN_LIVE = (j.model_copy(update=TEMPLATE) for j in (JOURNAL, PROVEN))
FRESH = JOURNAL.model_copy(update={"preview_uid": "", "isvc_uid": ""})


@pytest.mark.parametrize("format_", ["triton", "sklearn"])
@pytest.mark.parametrize("mode", ["Knative", "Standard"])
def test_the_preview_is_the_real_objects_manifest_under_another_name_and_marked(
    mode: str, format_: str
) -> None:
    journal = JOURNAL.model_copy(update={"mode": mode})
    served = POLICY.model_copy(
        update={"serving": POLICY.serving.model_copy(update={"format": format_})}
    )
    real = manifest_of(ActKind.CREATE, journal, served)
    preview = manifest_of(ActKind.PREVIEW, journal, served)
    assert preview["spec"] == real["spec"]
    assert preview["metadata"].pop("labels") == {"tidegate.dev/preview-of": "fraud"}
    assert preview["metadata"].pop("name") == "fraud-preview"
    assert real["metadata"].pop("name") == "fraud"
    assert preview["metadata"] == real["metadata"]
    assert real["metadata"]["annotations"]["tidegate.dev/created-by"] == "r1"


def test_the_longest_name_with_room_for_a_preview_has_38_characters() -> None:
    assert unfit_name("m" * 38) is None
    refused = unfit_name("m" * 39)
    assert refused
    assert "shorten the policy's name by 1" in refused.reason


def test_nothing_there_means_create_the_preview_and_then_the_real_one() -> None:
    preview, live = next_for_preview(None, FRESH, 0), next_for_live(None, FRESH, 0)
    assert isinstance(preview, Act)
    assert preview.kind is ActKind.PREVIEW
    assert isinstance(live, Act)
    assert (live.kind, live.percent) == (ActKind.CREATE, 100)


def test_an_object_that_vanished_after_it_was_created_is_not_created_again() -> None:
    assert isinstance(next_for_preview(None, JOURNAL, 0), Refuse)
    assert isinstance(next_for_live(None, JOURNAL, 0), Refuse)


@pytest.mark.parametrize("by", ["", "r0"])
def test_an_object_of_somebody_else_is_foreign_even_if_it_serves_the_same_model(by: str) -> None:
    for decided in (
        next_for_preview(seen(by=by), FRESH, 0),
        next_for_judged(seen(by=by), FRESH),
        next_for_live(seen(by=by), FRESH, 0),
    ):
        assert isinstance(decided, Refuse)
        assert decided.foreign


def test_the_verdict_stands_only_while_what_was_judged_still_runs() -> None:
    assert isinstance(next_for_judged(seen(uid="p1"), LIVE), Done)
    assert isinstance(next_for_judged(seen(uid="p1", ready="False"), LIVE), Wait)
    assert isinstance(next_for_judged(seen(uid="p1", uri=OTHER), LIVE), Refuse)
    assert isinstance(next_for_judged(None, LIVE), Refuse)


def test_a_death_between_the_write_and_its_note_is_known_by_the_mark_of_creation() -> None:
    taken = next_for_withdrawal(seen(uid="new"), FRESH, 0)
    assert isinstance(taken, Act)
    assert taken.kind is ActKind.DELETE


def test_a_proven_service_is_kept_and_waited_for_when_it_is_not_ready_for_a_moment() -> None:
    assert isinstance(next_for_withdrawal(seen(), PROVEN_LIVE, 0), Done)
    assert isinstance(next_for_withdrawal(seen(ready="False"), PROVEN_LIVE, 0), Wait)


def test_a_proven_service_that_no_longer_serves_is_taken_back() -> None:
    taken = next_for_withdrawal(seen(ready="False"), PROVEN_LIVE, RECONCILE_S + 1)
    assert isinstance(taken, Act)
    assert taken.kind is ActKind.DELETE


@pytest.mark.parametrize("journal", [LIVE, PROVEN_LIVE], ids=["unproven", "proven"])
def test_a_service_that_somebody_took_over_is_left_alone(journal: Journal) -> None:
    decided = next_for_withdrawal(seen(uri=OTHER), journal, 0)
    assert isinstance(decided, Refuse)
    assert decided.foreign


def test_a_deletion_that_finalizers_hold_up_is_not_waited_for_without_end() -> None:
    assert isinstance(next_for_discard(seen(uid="p1", deleting=True), JOURNAL, 0), Wait)
    assert isinstance(next_for_discard(seen(uid="p1", deleting=True), JOURNAL, GONE_S + 1), Done)


@given(
    uid=st.sampled_from(["u1", "p1", "x"]),
    by=st.sampled_from(["r1", "r0", ""]),
    uri=st.sampled_from([URI, OTHER]),
    ready=st.sampled_from(["True", "False", "Unknown"]),
    deleting=st.booleans(),
    journal=st.sampled_from([JOURNAL, FRESH, LIVE, PROVEN, PROVEN_LIVE]),
    waited_s=st.floats(0, 1000),
)
def test_no_return_deletes_what_this_release_did_not_create(
    uid: str, by: str, uri: str, ready: str, deleting: bool, journal: Journal, waited_s: float
) -> None:
    there = seen(uid=uid, by=by, uri=uri, ready=ready, deleting=deleting)
    for decided, known in (
        (next_for_withdrawal(there, journal, waited_s), journal.isvc_uid),
        (next_for_discard(there, journal, waited_s), journal.preview_uid),
    ):
        if isinstance(decided, Act):
            assert decided.kind in {ActKind.DELETE, ActKind.DISCARD}
            assert by == "r1"
            assert known in {"", uid}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, None),
        (seen(labels={"tidegate.dev/preview-of": "fraud"}), "left over from release r1"),
        (seen(labels={"tidegate.dev/preview-of": "other"}), "is not a preview of tidegate's"),
        (seen(by=""), "is not a preview of tidegate's"),
        (seen(deleting=True), "is still being deleted"),
    ],
    ids=["free", "orphan", "another's preview", "foreign", "deleting"],
)
def test_a_preview_needs_its_name_to_be_free(there: Observation | None, said: str | None) -> None:
    refused = preview_refusal(there, POLICY)
    assert (refused is None) == (said is None)
    assert refused is None or (said or "") in refused.reason


def test_the_preview_is_named_after_the_service() -> None:
    assert preview_name("fraud") == "fraud-preview"


def test_the_manual_command_names_the_real_one_only_once_it_may_exist() -> None:
    command = "kubectl -n default delete inferenceservice"
    assert manual_command(None, JOURNAL) == f"{command} fraud-preview"
    record = ActRecord(kind=ActKind.CREATE, percent=100, intended_s=0)
    assert manual_command(None, JOURNAL.intending(record)) == f"{command} fraud fraud-preview"
