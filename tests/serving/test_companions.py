"""A transformer or explainer of its own: carried on as it is, asked past, and watched."""

import json
from dataclasses import replace
from typing import Any

from tests.core.test_adoption import FOREIGN, seen
from tidegate.core.claim import Claim, claim
from tidegate.core.coming_up import COMPANION_S, unready_companion
from tidegate.core.decisions import Refuse, Wait
from tidegate.core.diagnosis import Diagnosis, Reason, of_companion
from tidegate.core.drift import edits_of_companions
from tidegate.core.isvc.components import companions
from tidegate.core.observation import Condition, observe
from tidegate.core.readiness import is_live
from tidegate.documents import Word
from tidegate.policy import Policy

OLD, NEW = "s3://models/fraud/7/", "s3://models/fraud/8/"
TRANSFORMER = {"image": "features:1", "collocated": False}


def policy(**serving: Any) -> Policy:
    base = {"name": "fraud", "namespace": "prod", "model": {"uri": "models:/fraud/8"}}
    return Policy.model_validate(base | {"serving": serving, "adopt": "allow"})


HELD = json.loads(json.dumps(companions(policy(transformer=TRANSFORMER))))


def test_a_service_whose_transformer_the_policy_names_is_released_behind_it() -> None:
    start = claim(seen(FOREIGN, version="7", **HELD), policy(transformer=TRANSFORMER), NEW)
    assert isinstance(start, Claim)


def test_a_changed_transformer_is_refused_with_the_reason_and_two_ways_out() -> None:
    wanted = policy(transformer=TRANSFORMER | {"image": "features:2"})
    refused = claim(seen(FOREIGN, version="7", **HELD), wanted, NEW)
    assert isinstance(refused, Refuse)
    assert (
        "spec.transformer.containers[0].image is not as serving.transformer says" in refused.reason
    )
    assert "kserve#1669" in refused.reason
    assert "apply that change alone first, or write serving.transformer" in refused.reason


def test_the_predictor_is_asked_by_its_own_host_when_a_transformer_stands_before_the_service() -> (
    None
):
    component = {"url": "http://fraud-predictor.prod.example.com"}
    status = {"url": "http://fraud.prod.example.com", "components": {"predictor": component}}
    plain = {"metadata": {"name": "fraud"}, "spec": {"predictor": {}}, "status": status}
    assert observe(plain).host == "fraud.prod.example.com"
    before = plain | {"spec": {"predictor": {}, **HELD}}
    assert observe(before).host == "fraud-predictor.prod.example.com"


def test_a_first_release_is_live_only_when_its_transformer_is_ready_too() -> None:
    whole = seen(FOREIGN, version="7", **HELD)
    ready = {"TransformerReady": Condition(status="True")}
    up = replace(
        whole,
        conditions={**whole.conditions, "Ready": ready["TransformerReady"], **ready},
        revisions={name: replace(one, replicas=3) for name, one in whole.revisions.items()},
    )
    assert is_live(up, storage_uri=OLD)
    without = replace(up, conditions={**up.conditions, "TransformerReady": Condition()})
    assert not is_live(without, storage_uri=OLD)


def test_a_companion_that_crashes_is_suspected_by_its_last_line_and_refused_when_it_stays_so() -> (
    None
):
    message = (
        'Revision "fraud-transformer-00001" failed with message: Container failed with: Traceback\n'
        "  File features.py, line 3\nKeyError: 'customer_id'."
    )
    broken = Condition(status="False", reason="RevisionFailed", message=message)
    whole = seen(FOREIGN, version="7", **HELD)
    crashed = replace(whole, conditions={**whole.conditions, "TransformerReady": broken})
    found = unready_companion(crashed)
    assert isinstance(found, Wait)
    assert (found.about, found.persist_s) == ("transformer", COMPANION_S)
    assert found.suspicion.startswith("spec.transformer does not start: RevisionFailed: Revision")
    assert found.suspicion.endswith("KeyError: 'customer_id'.")
    assert "\n" not in found.suspicion
    loading = {**whole.conditions, "TransformerReady": Condition(status="Unknown")}
    assert unready_companion(replace(whole, conditions=loading)) is None
    assert unready_companion(seen(FOREIGN, version="7")) is None


def test_a_crash_is_no_word_before_the_predictor_is_up_and_an_image_is() -> None:
    whole = seen(FOREIGN, version="7", **HELD)

    def told(reason: Reason, *, is_asked: bool, persist_s: float = 0.0) -> Refuse | Wait | None:
        found = Diagnosis(reason=reason, words="said", persist_s=persist_s)
        troubled = {"transformer": of_companion(found, "transformer")}
        return unready_companion(replace(whole, troubled=troubled), is_asked=is_asked)

    assert told(Reason.CRASH_LOOP, is_asked=False) is None
    waited = told(Reason.CRASH_LOOP, is_asked=True)
    assert isinstance(waited, Wait)
    assert (waited.about, waited.persist_s) == ("transformer CRASH_LOOP", COMPANION_S)
    assert waited.word is Word.INVALID
    for asked in (False, True):
        refused = told(Reason.IMAGE_PULL, is_asked=asked)
        assert isinstance(refused, Refuse)
        assert refused.reason.startswith("spec.transformer does not start: IMAGE_PULL: said; ")
    passing = told(Reason.UNSCHEDULABLE, is_asked=False, persist_s=40)
    assert isinstance(passing, Wait)
    assert passing.persist_s == 40


def test_somebody_elses_edit_of_the_transformer_is_named() -> None:
    now = seen(FOREIGN, version="7", **HELD)
    edited = json.loads(json.dumps(HELD))
    edited["transformer"]["maxReplicas"] = 9
    assert edits_of_companions(now, HELD) == ""
    assert edits_of_companions(now, edited) == "spec.transformer.maxReplicas was changed to 1"
