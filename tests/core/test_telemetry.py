"""What a journal says as gauges: one word holds, the unknown has no series, and nothing is told twice."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report import a_release
from tidegate.core.journal import ActKind, ActRecord, Journal, Phase
from tidegate.core.telemetry import HELP, Sample, of_report, samples
from tidegate.core.trace import spans
from tidegate.documents import Incumbent, Result, Subject, TrafficStep, Word

SUBJECT = Subject(model="digits", version="7", digest="sha256:" + "a" * 64)
WHO = {"namespace": "prod", "inferenceservice": "digits"}


def act(
    percent: int | None, *, at_s: float = 10.0, seen: bool = True, kind: ActKind = ActKind.SHIFT
) -> ActRecord:
    return ActRecord(
        kind=kind, percent=percent, intended_s=at_s, confirmed_s=at_s + 2 if seen else None
    )


def journal(**changes: Any) -> Journal:
    """A release at 10 %."""
    base: dict[str, Any] = {
        "release_id": "r-1",
        "subject": SUBJECT,
        "namespace": "prod",
        "name": "digits",
        "phase": Phase.PROMOTING,
        "deadline_s": 500.0,
        "storage_uri": "file:///m/",
        "candidate_revision": "digits-2",
        "incumbent": Incumbent(revision="digits-1", storage_uri="", predictor={}, version="6"),
        "acts": (act(0), act(10, at_s=20.0)),
    }
    return Journal(**(base | changes))


def values(told: list[Sample], name: str, *labels: str) -> dict[Any, float]:
    found = {
        tuple(one.labels[label] for label in labels): one.value for one in told if one.name == name
    }
    return {key[0] if len(key) == 1 else key: value for key, value in found.items()}


def test_the_phase_that_holds_is_1_and_every_other_is_0() -> None:
    told = values(samples(journal(), at_s=30), "tidegate_release_phase", "phase")
    assert told == {phase.value: float(phase is Phase.PROMOTING) for phase in Phase}


def test_the_share_is_the_last_one_that_the_cluster_showed() -> None:
    meant = journal(acts=(act(0), act(10), act(50, seen=False)))
    told = values(samples(meant, at_s=30), "tidegate_release_traffic_percent", "role", "revision")
    assert told == {("candidate", "digits-2"): 10.0, ("incumbent", "digits-1"): 90.0}


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"phase": Phase.RETURNING}, None),
        ({"phase": Phase.RETURNING, "traffic_safe": True}, 0.0),
        ({"phase": Phase.ENDED, "outcome": Result.ROLLED_BACK, "traffic_safe": False}, None),
        ({"phase": Phase.ENDED, "outcome": Result.PROMOTED}, 100.0),
        ({"acts": ()}, None),
        ({"acts": (act(None, kind=ActKind.SCALE),)}, None),
        ({"candidate_revision": ""}, None),
    ],
)
def test_a_share_that_is_not_known_has_no_series(
    changes: dict[str, Any], share: float | None
) -> None:
    told = values(samples(journal(**changes), at_s=30), "tidegate_release_traffic_percent", "role")
    assert told == ({} if share is None else {"candidate": share, "incumbent": 100 - share})


@pytest.mark.parametrize("known", [None, True, False])
def test_safety_and_repair_are_told_once_they_are_known(known: bool | None) -> None:
    told = samples(journal(traffic_safe=known, spec_repaired=known), at_s=30)
    for name in ("tidegate_release_traffic_safe", "tidegate_release_spec_repaired"):
        assert values(told, name) == ({} if known is None else {(): float(known)})


def test_a_step_that_was_judged_again_is_told_with_its_last_word() -> None:
    step = TrafficStep(at_s=40.0, percent=10, revision="digits-2", word=Word.INCONCLUSIVE)
    again = step.model_copy(update={"word": Word.PASS, "p99_ms": 12.5, "requests": 900})
    told = samples(journal(steps=(step, again)), at_s=50)
    words = values(told, "tidegate_release_step_verdict", "percent", "word")
    assert [word for (_, word), value in words.items() if value] == ["PASS"]
    assert values(told, "tidegate_release_step_p99_seconds", "percent") == {"10": 0.0125}
    assert values(told, "tidegate_release_step_requests", "percent") == {"10": 900.0}


def test_a_clock_that_goes_back_makes_no_negative_duration() -> None:
    told = samples(journal(), at_s=3)
    assert values(told, "tidegate_release_duration_seconds") == {(): 0.0}


@given(
    phase=st.sampled_from(Phase),
    outcome=st.none() | st.sampled_from(Result),
    safe=st.none() | st.booleans(),
    percents=st.lists(st.tuples(st.none() | st.integers(0, 100), st.booleans()), max_size=4),
    alarm=st.booleans(),
)
@settings(max_examples=60)
def test_every_series_is_described_named_once_and_about_one_service(
    phase: Phase,
    outcome: Result | None,
    safe: bool | None,
    percents: list[tuple[int | None, bool]],
    alarm: bool,
) -> None:
    acts = tuple(act(percent, seen=seen) for percent, seen in percents)
    told = samples(
        journal(phase=phase, outcome=outcome, traffic_safe=safe, acts=acts), at_s=30, alarm=alarm
    )
    keys = [(one.name, *sorted(one.labels.items())) for one in told]
    assert len(keys) == len(set(keys))
    for one in told:
        assert one.name in HELP
        assert one.labels.items() >= WHO.items()
        assert one.value == one.value
    shares = values(told, "tidegate_release_traffic_percent", "role")
    assert not shares or sum(shares.values()) == 100
    results = values(told, "tidegate_release_result", "result")
    assert sum(results.values()) == (1 if outcome else 0)


def test_a_report_tells_the_gate_s_word_and_what_both_arms_took() -> None:
    told = of_report(a_release.report(), namespace="prod", service="digits")
    words = values(told, "tidegate_release_gate_verdict", "word")
    assert [word for word, value in words.items() if value] == ["PASS"]
    assert set(values(told, "tidegate_release_load_p99_seconds", "arm")) == {
        "candidate",
        "baseline",
    }


def test_a_report_of_a_release_without_a_verdict_tells_no_word() -> None:
    report = a_release.report().model_copy(update={"verdict": None, "load": None})
    told = of_report(report, namespace="prod", service="digits")
    assert {one.value for one in told} == {0.0}


# -- as a trace


def test_a_trace_is_the_release_its_acts_and_its_bakes() -> None:
    step = TrafficStep(at_s=60.0, percent=10, revision="digits-2", word=Word.PASS)
    ended = journal(steps=(step,), phase=Phase.ENDED, outcome=Result.PROMOTED)
    whole, stage, shift, bake = spans(ended, at_s=90.0)
    assert (whole.name, whole.began_s, whole.ended_s, whole.failed) == (
        "release digits",
        10.0,
        90.0,
        "",
    )
    assert (stage.began_s, stage.ended_s) == (10.0, 12.0)
    assert (shift.name, shift.attributes["percent"]) == ("act SHIFT", 10)
    assert (bake.name, bake.began_s, bake.ended_s, bake.failed) == ("bake 10 %", 22.0, 60.0, "")


def test_what_was_never_seen_and_what_was_rejected_is_a_failed_span() -> None:
    step = TrafficStep(at_s=60.0, percent=10, revision="digits-2", word=Word.FAIL, message="slow")
    ended = journal(
        acts=(act(10, seen=False),),
        steps=(step,),
        phase=Phase.ENDED,
        outcome=Result.ROLLED_BACK,
        reason="slow",
    )
    assert [one.failed for one in spans(ended, at_s=90.0)] == [
        "slow",
        "never seen in the cluster",
        "slow",
    ]


def test_a_release_that_never_acted_has_no_trace() -> None:
    assert spans(journal(acts=()), at_s=90.0) == []
