"""promote: step by step, back at the first bad sign, the alias last."""

import os
import signal
from dataclasses import dataclass
from typing import Any

import pytest

from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.documents import Deployment, Finding, Outcome, Result, Word
from tidegate.errors import ConflictError, UnavailableError
from tidegate.policy import Policy
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guarded
from tidegate.steps.promote import Aliases, promoted
from tidegate.steps.stopping import finishing_acts


@dataclass(frozen=True)
class Evidence:
    word: Word
    reason: str = "as the test wants it"
    findings: tuple[Finding, ...] = ()
    requests: int | None = 500
    p50_ms: float | None = 1.0
    p95_ms: float | None = 2.0
    p99_ms: float | None = 3.0
    is_urgent: bool = False
    record: None = None


class Judge:
    """Says the word given for a percent, PASS for the others."""

    def __init__(self, **words: Word) -> None:
        self.words = words
        self.asked: list[int] = []

    def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
        self.asked.append(percent)
        return Evidence(self.words.get(f"at_{percent}", Word.PASS))


class Registry:
    def __init__(self) -> None:
        self.champion = "1"

    @property
    def aliases(self) -> Aliases:
        return Aliases(names=lambda _model, _alias: self.champion, move=self._move)

    def _move(self, model: str, alias: str, version: str, expected: str) -> None:
        if self.champion != expected:
            raise ConflictError(f"alias {alias} names {self.champion}")
        self.champion = version


def stage(cluster: Cluster, version: int) -> Deployment:
    return staged_at(
        staged(cluster.kube, published(version), policy(), f"r{version}", poll_s=POLL_S)
    )


def promote_(
    cluster: Cluster, deployment: Deployment, chosen: Policy, judge: Any, registry: Any = None
) -> Outcome:
    aliases = (registry or Registry()).aliases
    return promoted(
        cluster.kube, deployment, chosen, judge=judge, aliases=aliases,
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip


def release(cluster: Cluster, version: int, judge: Any, registry: Registry) -> Outcome:
    return promote_(cluster, stage(cluster, version), policy(), judge, registry)


def test_a_good_candidate_gets_every_step_and_then_the_alias(cluster: Cluster) -> None:
    registry = Registry()
    release(cluster, 1, Judge(), registry)
    outcome = release(cluster, 2, Judge(), registry)
    assert outcome.result is Result.PROMOTED, outcome
    assert [step.percent for step in outcome.steps] == [10, 50, 100]
    assert cluster.serving == {uri(2)}
    assert registry.champion == "2"


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_candidate_that_fails_a_live_gate_is_rolled_back_and_the_alias_stays(
    cluster: Cluster, percent: int
) -> None:
    registry = Registry()
    release(cluster, 1, Judge(), registry)
    outcome = release(cluster, 2, Judge(**{f"at_{percent}": Word.FAIL}), registry)
    assert outcome.result is Result.ROLLED_BACK
    assert f"FAIL at {percent} %" in outcome.reason
    assert outcome.steps[-1].word is Word.FAIL
    assert cluster.serving == {uri(1)}
    assert registry.champion == "1"


@pytest.mark.parametrize("word", [Word.INCONCLUSIVE, Word.INVALID])
def test_a_step_without_enough_evidence_bakes_to_its_limit_and_is_rolled_back(
    cluster: Cluster, word: Word
) -> None:
    registry = Registry()
    release(cluster, 1, Judge(), registry)
    judge = Judge(at_50=word)
    outcome = release(cluster, 2, judge, registry)
    assert (outcome.result, outcome.steps[-1].word) == (Result.ROLLED_BACK, word)
    assert judge.asked.count(50) > 3
    looks = outcome.steps[-1].looks
    assert {look.word for look in looks} == {word}
    assert looks[-1].at_s - looks[0].at_s >= 0.5 * policy().traffic.max_bake_s
    assert 100 not in judge.asked
    assert cluster.serving == {uri(1)}


def test_a_candidate_that_dies_while_it_bakes_is_left_at_once(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    dead = RevisionStatus(phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139)

    class Killer(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            cluster.runtime.fates[uri(2)] = dead
            return Evidence(Word.INCONCLUSIVE)

    outcome = release(cluster, 2, Killer(), Registry())
    assert outcome.result is Result.ROLLED_BACK
    assert "no longer ready" in outcome.reason
    assert "CRASH_LOOP: kserve-container (Error, exit code 139): signal 11" in outcome.reason
    assert outcome.steps[-1].word is Word.FAIL
    assert cluster.serving == {uri(1)}


def test_a_candidate_that_loses_its_node_while_it_bakes_is_left_for_lack_of_evidence(
    cluster: Cluster,
) -> None:
    release(cluster, 1, Judge(), Registry())
    homeless = RevisionStatus(phase="Pending", reason="Unschedulable", message="0/3 nodes")

    class Drain(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            cluster.runtime.fates[uri(2)] = homeless
            return Evidence(Word.INCONCLUSIVE)

    outcome = release(cluster, 2, Drain(), Registry())
    assert "UNSCHEDULABLE: 0/3 nodes" in outcome.reason
    assert (outcome.result, outcome.steps[-1].word) == (Result.ROLLED_BACK, Word.INVALID)
    assert cluster.serving == {uri(1)}


def test_a_candidate_that_dies_with_all_of_production_is_left_for_the_incumbents_model(
    cluster: Cluster,
) -> None:
    """`prev` then names the dead one, so that no percent below 100 would ever be routed again."""
    release(cluster, 1, Judge(), Registry())
    dead = RevisionStatus(phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139)

    class Killer(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            if percent == 100:
                cluster.runtime.fates[uri(2)] = dead
            return Evidence(Word.PASS if percent < 100 else Word.INCONCLUSIVE)

    outcome = release(cluster, 2, Killer(), Registry())
    assert (outcome.result, outcome.traffic_safe) == (Result.ROLLED_BACK, True), outcome
    assert cluster.serving == {uri(1)}


def test_a_lost_race_for_the_alias_is_told_and_the_traffic_stays(cluster: Cluster) -> None:
    registry = Registry()
    release(cluster, 1, Judge(), registry)

    class Thief(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            registry.champion = "7"
            return Evidence(Word.PASS)

    outcome = release(cluster, 2, Thief(), registry)
    assert outcome.result is Result.PROMOTED
    assert "alias champion was not moved" in outcome.reason
    assert (cluster.serving, registry.champion) == ({uri(2)}, "7")


@pytest.mark.parametrize(
    ("patch", "named"),
    [
        ({"model": {"storageUri": uri(9)}}, "storageUri was changed to s3://models/digits/9/"),
        ({"canaryTrafficPercent": 0}, "canaryTrafficPercent was changed to 0"),
        ({"timeout": 30}, "spec.predictor.timeout was changed to 30"),
    ],
    ids=["another model", "GitOps reverts the percent", "another template"],
)
def test_a_foreign_edit_stops_the_release_and_is_named(
    cluster: Cluster, patch: dict[str, Any], named: str
) -> None:
    release(cluster, 1, Judge(), Registry())

    class Foreigner(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            if not self.asked:
                cluster.service.patch({"spec": {"predictor": patch}})
            self.asked.append(percent)
            return Evidence(Word.INCONCLUSIVE)

    with pytest.raises(ConflictError, match=named):
        release(cluster, 2, Foreigner(), Registry())
    assert cluster.journal.is_over
    assert uri(2) not in cluster.serving


def test_a_promotion_goes_on_where_the_last_run_of_it_stopped(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    chosen, deployment = policy(), stage(cluster, 2)

    class Stop(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            if percent == 50:
                raise UnavailableError("stopped")
            return Evidence(Word.PASS)

    with pytest.raises(UnavailableError):
        promote_(cluster, deployment, chosen, Stop())
    judge = Judge()
    outcome = promote_(cluster, deployment, chosen, judge)
    assert outcome.result is Result.PROMOTED
    assert 10 not in judge.asked


def test_a_journal_of_another_release_is_not_promoted(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    deployment = stage(cluster, 2).model_copy(update={"release_id": "other"})
    with pytest.raises(ConflictError, match="held by r2"):
        promote_(cluster, deployment, policy(), Judge())


def test_sigterm_takes_the_share_back_and_leaves_the_repair_to_guard(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    deployment = stage(cluster, 2)

    class Terminator(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            os.kill(os.getpid(), signal.SIGTERM)
            return Evidence(Word.PASS)

    with (
        finishing_acts(),
        pytest.raises(
            UnavailableError, match="SIGTERM: the share of the candidate is 0 %; run guard"
        ),
    ):
        promote_(cluster, deployment, policy(), Terminator())
    cluster.wait(lambda: cluster.serving == {uri(1)})
    seen = cluster.service.look()
    assert seen
    assert (seen.percent, seen.storage_uri) == (0, uri(2))
    journal = guarded(cluster.kube, "r2", "", poll_s=POLL_S)
    assert journal
    assert journal.outcome is Result.DIED
    assert cluster.serving == {uri(1)}


def test_a_first_release_is_confirmed_without_steps(cluster: Cluster) -> None:
    judge = Judge()
    outcome = release(cluster, 1, judge, Registry())
    assert (outcome.result, judge.asked) == (Result.PROMOTED, [])
    assert [(s.percent, s.word) for s in outcome.steps] == [(100, Word.PASS)]


@pytest.mark.parametrize(("word", "served"), [(Word.PASS, 2), (Word.FAIL, 1)])
def test_a_journal_that_somebody_deletes_is_written_again_and_the_release_ends(
    cluster: Cluster, word: Word, served: int
) -> None:
    """Without it nobody would own the candidate's share, and neither guard nor sweep would find it."""
    release(cluster, 1, Judge(), Registry())
    path = f"/api/v1/namespaces/default/configmaps/tidegate-{NAME}"

    class Tidy(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            if not self.asked:
                cluster.kube.request("DELETE", path)
            return super().__call__(*given, percent=percent, since_s=since_s)

    release(cluster, 2, Tidy(at_50=word), Registry())
    assert cluster.serving == {uri(served)}
    assert (cluster.journal.release_id, cluster.journal.is_over) == ("r2", True)
