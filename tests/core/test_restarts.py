from typing import Any

import pytest

from tidegate.core.answered import Restarted, findings_of
from tidegate.core.restarts import Restarts, judge_restarts, seen
from tidegate.core.symptoms import Pod, pods_of
from tidegate.documents import Finding, Word
from tidegate.policy import RestartsSlo, Slo

SINCE_S = 1_600_000_000.0  # 2020-09-13T12:26:40Z
BEFORE, AFTER = "2020-09-13T12:26:00Z", "2020-09-13T12:27:00Z"


def pods(
    *containers: dict[str, Any], name: str = "m-2-x", created: str = BEFORE
) -> tuple[Pod, ...]:
    meta = {"name": name, "uid": f"uid of {name} {created}", "creationTimestamp": created}
    return pods_of([{"metadata": meta, "status": {"containerStatuses": list(containers)}}])


def container(finished: str | None, *, restarts: int = 1, key: str = "lastState") -> dict[str, Any]:
    ended = {"reason": "OOMKilled", "exitCode": 137}
    ended |= {"finishedAt": finished} if finished else {}
    return {"name": "triton", "restartCount": restarts, key: {"terminated": ended}}


def judged(*looks: tuple[Pod, ...], limit: int = 0) -> Finding:
    """What is said after these looks, one after another."""
    restarts = Restarts(since_s=SINCE_S)
    for look in looks:
        restarts = seen(restarts, look)
    return judge_restarts(RestartsSlo(kind="restarts", limit=limit) if limit else None, restarts)


CALM = {"name": "triton", "restartCount": 0, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("found", "limit", "word"),
    [
        (pods(CALM), 0, Word.PASS),
        (pods(container(BEFORE)), 0, Word.PASS),  # before this step
        (pods(container(AFTER)), 0, Word.FAIL),
        (
            pods(container(AFTER, restarts=0, key="state")),
            0,
            Word.FAIL,
        ),  # about to be started again
        (pods(container(None)), 0, Word.FAIL),  # when is not told
        (pods(container(AFTER)), 1, Word.PASS),
        (pods(container(AFTER, restarts=2), created=AFTER), 1, Word.FAIL),  # a pod of this step
        (pods(container(AFTER, restarts=7)), 1, Word.PASS),  # six of them were before
        (pods(), 0, Word.PASS),
    ],
)
def test_a_restart_within_the_bake_is_a_blocking_failure(
    found: tuple[Pod, ...], limit: int, word: Word
) -> None:
    finding = judged(found, limit=limit)
    assert (finding.word, finding.blocking) == (word, True), finding.message
    if word is Word.FAIL:
        assert "triton of m-2-x ended at" in finding.message
        assert "(OOMKilled, exit 137)" in finding.message


def test_restarts_from_before_the_step_do_not_count_and_those_since_do() -> None:
    before = pods(container(BEFORE, restarts=40))
    assert judged(before, limit=2).observed == 0
    for restarts, word in ((42, Word.PASS), (43, Word.FAIL)):
        finding = judged(before, pods(container(AFTER, restarts=restarts)), limit=2)
        assert (finding.word, finding.observed) == (word, restarts - 40)


def test_a_restart_is_counted_once_while_it_ends_and_once_it_has_started() -> None:
    calm, ending = pods(CALM), pods(container(AFTER, restarts=0, key="state"))
    assert judged(calm, ending, ending, limit=1).observed == 1
    assert judged(calm, ending, pods(container(AFTER)), limit=1).observed == 1


def test_a_pod_that_is_replaced_does_not_take_its_restarts_with_it() -> None:
    first = pods(container(AFTER, restarts=2), created=AFTER)
    second = pods(CALM, name="m-2-y", created=AFTER)
    finding = judged(pods(CALM), first, second, limit=1)
    assert (finding.word, finding.observed, finding.samples) == (Word.FAIL, 2, 1)
    again = pods(container(AFTER, restarts=1), name="m-2-y", created=AFTER)
    assert judged(first, second, again, limit=5).observed == 3


def test_pods_that_may_not_be_read_block_only_where_the_policy_asks_for_them() -> None:
    lost = Restarts(since_s=0, unseen="the Role does not allow it")
    unknown = judge_restarts(None, lost)
    assert (unknown.word, unknown.blocking) == (Word.INCONCLUSIVE, False)
    assert "the Role does not allow it" in unknown.message
    assert judge_restarts(RestartsSlo(kind="restarts"), lost).blocking
    crashed = seen(Restarts(since_s=SINCE_S), pods(container(AFTER)))
    warned = judge_restarts(RestartsSlo(kind="restarts", severity="warn"), crashed)
    assert (warned.word, warned.blocking) == (Word.FAIL, False)


def test_a_look_that_sees_no_pods_forgets_no_restart() -> None:
    crashed = seen(Restarts(since_s=SINCE_S), pods(container(AFTER)))
    blind = Restarts(since_s=SINCE_S, counted=crashed.counted, unseen="HTTP 500")
    assert judge_restarts(None, blind).word is Word.FAIL
    patient = judge_restarts(RestartsSlo(kind="restarts", limit=1), blind)
    assert (patient.word, patient.blocking) == (Word.INCONCLUSIVE, True)


def test_each_objective_of_restarts_is_judged_by_its_own_limit() -> None:
    slo = Slo(
        objectives=(
            RestartsSlo(kind="restarts", name="any", limit=0, severity="warn"),
            RestartsSlo(kind="restarts", name="many", limit=2),
        )
    )
    restarts = seen(Restarts(since_s=SINCE_S), pods(container(AFTER, restarts=3), created=AFTER))
    findings = findings_of([Restarted(restarts=restarts)], slo)
    assert [(one.name, one.word, one.blocking) for one in findings] == [
        ("any", Word.FAIL, False),
        ("many", Word.FAIL, True),
    ]
