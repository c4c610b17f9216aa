"""await-approval: what passed its gate waits for a person, and only then gets traffic."""

import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.steps.traffic.test_promote import stage
from tests.steps.traffic.traffic_cluster import NAME, POLL_S, Cluster, policy, published, verdict
from tidegate.adapters.files import read, write
from tidegate.cli import app
from tidegate.core.journal import Approval
from tidegate.documents import Deployment, Verdict, Word
from tidegate.errors import ConflictError, UsageError
from tidegate.operations.abort import aborted
from tidegate.operations.finding import found
from tidegate.steps.await_approval import Approved, await_approval, awaited
from tidegate.steps.deploy import staged

MANUAL = {"steps": [100], "bake_s": 0.05, "max_bake_s": 0.3, "approval": "manual"}


def waiting(cluster: Cluster, timeout_s: float = 60) -> Deployment:
    """Version 1 is staged under a policy that asks for approval."""
    chosen = policy(traffic=MANUAL | {"approval_timeout_s": timeout_s})
    result = staged(cluster.kube, published(1), chosen, "r1", poll_s=POLL_S)
    assert isinstance(result, Deployment)
    return result


def asked(
    folder: Path,
    about: Deployment,
    *,
    word: Word = Word.PASS,
    decision: str = "",
    **traffic: object,
) -> tuple[Approved, Verdict]:
    """The step's outputs and its document."""
    write(folder / "verdict", verdict(about, about.release_id, word))
    write(folder / "policy", policy(traffic={**MANUAL, **traffic}))
    told = await_approval(
        folder / "verdict", folder / "policy", about.release_id, folder / "approved", decision
    )
    return told, read(folder / "approved", Verdict)


def tidegate(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*arguments])
    return (getattr(done.exception, "exit_code", done.exit_code), f"{done.output}{done.exception}")


def test_a_policy_without_approval_passes_the_verdict_on_as_it_is(
    cluster: Cluster, tmp_path: Path
) -> None:
    told, document = asked(tmp_path, stage(cluster, 1), approval="none")
    assert told.verdict == "PASS"
    assert document.findings == ()


@pytest.mark.parametrize("word", [Word.FAIL, Word.INCONCLUSIVE, Word.INVALID])
def test_nobody_is_asked_about_what_did_not_pass(
    cluster: Cluster, tmp_path: Path, word: Word
) -> None:
    told, document = asked(tmp_path, waiting(cluster), word=word, decision="approve")
    assert told.verdict == document.word == word


@pytest.mark.parametrize(("verb", "word"), [("approve", Word.PASS), ("reject-approval", Word.FAIL)])
def test_the_first_word_of_a_person_ends_the_wait_and_is_kept_with_its_reason(
    cluster: Cluster, tmp_path: Path, verb: str, word: Word
) -> None:
    about = waiting(cluster)
    timer = threading.Timer(0.3, lambda: tidegate(verb, NAME, "--reason", "it's Friday"))
    timer.start()
    told, document = asked(tmp_path, about)
    timer.join()
    assert told.verdict == document.word == word
    assert document.findings[-1].name == "approval"
    assert "it's Friday" in document.reason
    assert cluster.journal.approval


def test_silence_is_no_approval(cluster: Cluster, tmp_path: Path) -> None:
    told, _ = asked(tmp_path, waiting(cluster), approval_timeout_s=0.2)
    assert told.verdict == "INCONCLUSIVE"
    assert "nobody approved it within 0.2 s" in told.reason


@pytest.mark.parametrize(
    ("decision", "word"), [("approve", "PASS"), ("reject", "FAIL"), ("undecided", "INCONCLUSIVE")]
)
def test_what_the_orchestrator_was_told_counts_at_once(
    cluster: Cluster, tmp_path: Path, decision: str, word: str
) -> None:
    told, _ = asked(tmp_path, waiting(cluster), decision=decision)
    assert told.verdict == word


def test_a_word_in_the_journal_counts_before_the_orchestrators(
    cluster: Cluster, tmp_path: Path
) -> None:
    about = waiting(cluster)
    assert tidegate("reject-approval", NAME)[0] == 0
    told, _ = asked(tmp_path, about, decision="approve")
    assert told.verdict == "FAIL"


def test_another_decision_is_a_usage_error(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'yes' is none of approve, reject, undecided"):
        asked(tmp_path, waiting(cluster), decision="yes")


def test_an_abort_ends_the_wait(cluster: Cluster) -> None:
    waiting(cluster)
    aborted(cluster.kube, found(cluster.kube, NAME, ""), who="ann", poll_s=POLL_S)
    with pytest.raises(ConflictError, match="waits no longer"):
        awaited(cluster.kube, policy(traffic=MANUAL), "r1", look_every_s=POLL_S)


def test_the_deadline_of_a_staged_release_leaves_time_for_a_person(cluster: Cluster) -> None:
    waiting(cluster, timeout_s=100_000)
    assert cluster.journal.deadline_s > time.time() + 100_000


def test_a_second_word_and_a_word_that_nobody_asked_for_are_conflicts(cluster: Cluster) -> None:
    stage(cluster, 1)
    code, said = tidegate("approve", NAME)
    assert (code, "asks for no approval" in said) == (4, True)
    aborted(cluster.kube, found(cluster.kube, NAME, ""), who="ann", poll_s=POLL_S)
    waiting_again = policy(traffic=MANUAL)
    assert isinstance(
        staged(cluster.kube, published(2), waiting_again, "r2", poll_s=POLL_S), Deployment
    )
    assert "tidegate approve digits" in tidegate("status", NAME)[1]
    assert tidegate("approve", NAME)[0] == 0
    assert isinstance(cluster.journal.approval, Approval)
    code, said = tidegate("reject-approval", NAME)
    assert code == 4
    assert "has said approve before" in said
