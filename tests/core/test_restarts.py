from typing import Any

import pytest

from tidegate.core.restarts import judge_restarts
from tidegate.core.symptoms import Pod, pods_of
from tidegate.documents import Word
from tidegate.policy import RestartsSlo

SINCE_S = 1_600_000_000.0  # 2020-09-13T12:26:40Z
BEFORE, AFTER = "2020-09-13T12:26:00Z", "2020-09-13T12:27:00Z"


def pods(*containers: dict[str, Any]) -> tuple[Pod, ...]:
    status = {"containerStatuses": list(containers)}
    return pods_of([{"metadata": {"name": "m-2-x"}, "status": status}])


def container(finished: str | None, *, restarts: int = 1, key: str = "lastState") -> dict[str, Any]:
    ended = {"reason": "OOMKilled", "exitCode": 137}
    ended |= {"finishedAt": finished} if finished else {}
    return {"name": "triton", "restartCount": restarts, key: {"terminated": ended}}


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
        (pods(container(AFTER, restarts=2)), 1, Word.FAIL),
        (pods(), 0, Word.PASS),
    ],
)
def test_a_restart_within_the_bake_is_a_blocking_failure(
    found: tuple[Pod, ...], limit: int, word: Word
) -> None:
    asked = RestartsSlo(kind="restarts", limit=limit) if limit else None
    finding = judge_restarts(asked, found, since_s=SINCE_S)
    assert (finding.word, finding.blocking) == (word, True), finding.message
    if word is Word.FAIL:
        assert "triton of m-2-x ended at" in finding.message
        assert "(OOMKilled, exit 137)" in finding.message


def test_pods_that_may_not_be_read_block_only_where_the_policy_asks_for_them() -> None:
    unknown = judge_restarts(None, None, since_s=0, unseen="the Role does not allow it")
    assert (unknown.word, unknown.blocking) == (Word.INCONCLUSIVE, False)
    assert "the Role does not allow it" in unknown.message
    assert judge_restarts(RestartsSlo(kind="restarts"), None, since_s=0).blocking
    warned = judge_restarts(
        RestartsSlo(kind="restarts", severity="warn"), pods(container(AFTER)), since_s=SINCE_S
    )
    assert (warned.word, warned.blocking) == (Word.FAIL, False)
