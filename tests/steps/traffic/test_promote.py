"""promote: step by step, back at the first bad sign, the alias last."""

from dataclasses import dataclass

from traffic_cluster import POLL_S, Cluster, policy, published, staged_at, uri

from tidegate.documents import Deployment, Finding, Outcome, Result, Word
from tidegate.errors import ConflictError
from tidegate.policy import Policy
from tidegate.steps.deploy import staged
from tidegate.steps.promote import Aliases, promoted


@dataclass(frozen=True)
class Evidence:
    word: Word
    reason: str = "as the test wants it"
    findings: tuple[Finding, ...] = ()
    requests: int | None = 500
    p50_ms: float | None = 1.0
    p95_ms: float | None = 2.0
    p99_ms: float | None = 3.0


class Judge:
    """Says the word given for a percent, PASS for the others."""

    def __init__(self, **words: Word) -> None:
        self.words = words
        self.asked: list[int] = []

    def __call__(
        self, deployment: Deployment, policy: Policy, *, percent: int, since_s: float
    ) -> Evidence:
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


def release(cluster: Cluster, version: int, judge: Judge, registry: Registry) -> Outcome:
    chosen = policy()
    deployment = staged_at(
        staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)
    )
    return promoted(
        cluster.kube, deployment, chosen, judge=judge, aliases=registry.aliases,
        poll_s=POLL_S, judge_every_s=POLL_S,
    )  # fmt: skip


def test_a_good_candidate_gets_every_step_and_then_the_alias(cluster: Cluster) -> None:
    registry = Registry()
    release(cluster, 1, Judge(), registry)
    outcome = release(cluster, 2, Judge(), registry)
    assert outcome.result is Result.PROMOTED, outcome
    assert [step.percent for step in outcome.steps] == [10, 50, 100]
    assert cluster.serving == {uri(2)}
    assert registry.champion == "2"
