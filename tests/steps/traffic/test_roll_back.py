"""roll-back, guard and sweep: after any death production ends on what served before."""

import contextlib
import itertools
import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.steps.traffic.test_promote import Evidence, Judge, promote_, release, stage
from tests.steps.traffic.test_promote import Registry as Champion
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
    verdict,
)
from tidegate.adapters.act_events import REASONS
from tidegate.adapters.files import read, write
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import load_journal, save_journal
from tidegate.core.journal import ActKind, Journal, Phase
from tidegate.documents import Deployment, Finding, Outcome, Refusal, Result, Word
from tidegate.errors import RejectedError, RollbackFailedError, UnavailableError
from tidegate.policy import Policy
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.guard import guard, guarded
from tidegate.steps.roll_back import returned, roll_back
from tidegate.steps.sweep import swept


class Crash(BaseException):
    """The process is gone."""


class Dying(Kubernetes):
    """Dies after its n-th write; for the cluster that is the same as before the next one."""

    def __init__(self, kube: Kubernetes, lives_for: int) -> None:
        super().__init__(kube._client, retry_s=2)
        self.left = lives_for

    def once(
        self, method: str, path: str, body: dict[str, Any] | None, query: Mapping[str, str] | None
    ) -> dict[str, Any]:
        if method != "GET":
            if self.left == 0:
                raise Crash(f"before {method} {path}")
            self.left -= 1
        return super().once(method, path, body, query)


class Unwritable(Kubernetes):
    """ConfigMaps cannot be written, as by a webhook that is down, and all else can."""

    def __init__(self, kube: Kubernetes) -> None:
        super().__init__(kube._client, retry_s=0.3)

    def once(
        self, method: str, path: str, body: dict[str, Any] | None, query: Mapping[str, str] | None
    ) -> dict[str, Any]:
        if method == "PUT" and "/configmaps/" in path:
            raise UnavailableError(f"{method} {path}: HTTP 500")
        return super().once(method, path, body, query)


class DyingAtHalf(Judge):
    """The run dies while it bakes at 50 %."""

    def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
        if percent == 50:
            raise Crash
        return Evidence(Word.PASS)


@pytest.mark.parametrize("mode", ["cluster", "standard"])
def test_the_share_goes_back_even_while_the_journal_cannot_be_written(
    mode: str, request: pytest.FixtureRequest
) -> None:
    cluster: Cluster = request.getfixturevalue(mode)
    release(cluster, 1, Judge(), Champion())
    with contextlib.suppress(Crash):
        promote_(cluster, stage(cluster, 2), policy(), DyingAtHalf())
    assert cluster.serving == {uri(1), uri(2)}
    with pytest.raises(UnavailableError, match="HTTP 500"):
        guarded(Unwritable(cluster.kube), "r2", "", poll_s=POLL_S)
    cluster.wait(lambda: cluster.serving == {uri(1)})
    assert cluster.journal.phase is Phase.PROMOTING
    guarded(cluster.kube, "r2", "", poll_s=POLL_S)
    assert (cluster.journal.outcome, cluster.serving) == (Result.DIED, {uri(1)})


def whole_release(cluster: Cluster, kube: Kubernetes) -> None:
    alive, cluster.kube = cluster.kube, kube
    try:
        promote_(cluster, stage(cluster, 2), policy(), Judge())
    finally:
        cluster.kube = alive


WRITES = (
    38  # of a release in three steps: per act the Lease twice, the journal, the object, an Event
)


@pytest.mark.parametrize("lives_for", range(WRITES))
def test_after_a_death_at_any_write_guard_returns_the_traffic(
    cluster: Cluster, lives_for: int
) -> None:
    release(cluster, 1, Judge(), Champion())
    with pytest.raises(Crash):
        whole_release(cluster, Dying(cluster.kube, lives_for))
    journal = guarded(cluster.kube, "r2", "", poll_s=POLL_S)
    if journal is None:
        assert lives_for == 0
        assert cluster.serving == {uri(1)}
        return
    assert journal.is_over
    wanted = {uri(2)} if journal.outcome is Result.PROMOTED else {uri(1)}
    assert cluster.serving == wanted
    seen = cluster.service.look()
    assert seen
    assert {seen.storage_uri} == wanted
    deployment, at_once = stage(cluster, 3), policy(traffic={"steps": [100], "bake_s": 0.01})
    assert promote_(cluster, deployment, at_once, Judge()).result is Result.PROMOTED


def dies_in_its_roll_back(cluster: Cluster, percent: int, lives_for: int) -> None:
    """Version 2 fails at this share, its run dies after so many writes of the roll-back, and guard comes."""
    deployment, alive = stage(cluster, 2), cluster.kube

    class Fatal(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            evidence = super().__call__(*given, percent=percent, since_s=since_s)
            if evidence.word is Word.FAIL:
                dying.left = lives_for
            return evidence

    dying = cluster.kube = Dying(alive, 1000)
    with contextlib.suppress(Crash):
        promote_(cluster, deployment, policy(), Fatal(**{f"at_{percent}": Word.FAIL}))
    cluster.kube = alive
    journal = guarded(alive, "r2", "", poll_s=POLL_S)
    assert journal
    assert journal.is_over
    assert cluster.serving == {uri(1)}


@pytest.mark.parametrize("percent", [10, 100])
@pytest.mark.parametrize("lives_for", range(11))
def test_after_a_death_in_the_middle_of_a_roll_back_guard_finishes_it(
    cluster: Cluster, percent: int, lives_for: int
) -> None:
    release(cluster, 1, Judge(), Champion())
    dies_in_its_roll_back(cluster, percent, lives_for)


def test_the_parametrised_writes_reach_the_end_of_a_release(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    dying = Dying(cluster.kube, 1000)
    whole_release(cluster, dying)
    assert 1000 - dying.left == WRITES


def test_a_second_roll_back_changes_nothing(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    deployment = stage(cluster, 2)
    bad = verdict(deployment, "r2", Word.FAIL)
    first = returned(cluster.kube, bad, policy(), "r2", poll_s=POLL_S)
    assert first.result is Result.ROLLED_BACK
    assert cluster.serving == {uri(1)}
    version = cluster.api.store.version
    assert returned(cluster.kube, bad, policy(), "r2", poll_s=POLL_S) == first
    assert cluster.api.store.version == version


def test_a_promoted_release_is_not_rolled_back(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    release(cluster, 2, Judge(), Champion())
    good = verdict(published(2), "r2")
    outcome = returned(cluster.kube, good, policy(), "r2", poll_s=POLL_S)
    assert outcome.result is Result.PROMOTED
    assert cluster.serving == {uri(2)}


def test_production_stays_on_the_incumbent_or_its_likeness_all_through_a_roll_back(
    cluster: Cluster,
) -> None:
    release(cluster, 1, Judge(), Champion())
    deployment = stage(cluster, 2)
    cluster.ingress.seen.clear()
    returned(cluster.kube, verdict(deployment, "r2", Word.FAIL), policy(), "r2", poll_s=POLL_S)
    reached = {name for shares in cluster.ingress.seen for name in shares}
    assert {cluster.runtime.specs[name].storage_uri for name in reached} == {uri(1)}


def test_a_first_release_that_fails_its_gate_is_deleted(cluster: Cluster) -> None:
    deployment = stage(cluster, 1)
    outcome = returned(
        cluster.kube, verdict(deployment, "r1", Word.FAIL), policy(), "r1", poll_s=POLL_S
    )
    assert outcome.result is Result.ROLLED_BACK
    assert "before this release nothing served" in outcome.reason
    assert cluster.service.look() is None


def test_a_return_that_cannot_be_seen_is_exit_6_with_the_manual_command(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    deployment = stage(cluster, 2)
    cluster.service.patch({"spec": {"predictor": {"canaryTrafficPercent": 50}}})
    cluster.wait(lambda: len(cluster.traffic) == 2)
    dead = RevisionStatus(phase="Failed", reason="CrashLoop", message="dead", exit_code=1)
    cluster.runtime.fates |= {uri(1): dead, uri(2): dead}
    cluster.wait(lambda: _is_dead(cluster, deployment.candidate_revision))
    bad = verdict(deployment, "r2", Word.FAIL)
    with pytest.raises(RollbackFailedError, match="run: kubectl -n default patch") as failed:
        returned(cluster.kube, bad, policy(), "r2", poll_s=POLL_S)
    command = shlex.split(str(failed.value).partition("run: ")[2])
    assert command[3:7] == ["patch", "inferenceservice", NAME, "--type"]
    cluster.service.patch(json.loads(command[-1]))  # what the person does
    seen = cluster.service.look()
    assert seen
    assert (seen.storage_uri, seen.percent) == (uri(1), 0)
    assert not cluster.journal.is_over


def _is_dead(cluster: Cluster, revision: str) -> bool:
    seen = cluster.service.look()
    return seen is not None and not seen.is_healthy(revision)


# -- the steps themselves


def documents(tmp_path: Path, about: Any, release_id: str, word: Word) -> tuple[Path, Path, Path]:
    given, chosen, out = (tmp_path / name for name in ("verdict.json", "policy.json", "out.json"))
    write(given, about if isinstance(about, Refusal) else verdict(about, release_id, word))
    write(chosen, policy())
    return given, chosen, out


def test_the_step_writes_what_it_returned(cluster: Cluster, tmp_path: Path) -> None:
    release(cluster, 1, Judge(), Champion())
    given, chosen, out = documents(tmp_path, stage(cluster, 2), "r2", Word.FAIL)
    ended = roll_back(given, chosen, "r2", out)
    outcome = read(out, Outcome)
    assert (ended.outcome, ended.reason) == ("ROLLED_BACK", outcome.reason)
    assert {cluster.runtime.specs[name].storage_uri for name in outcome.traffic} == {uri(1)}


@pytest.mark.parametrize(
    ("step", "word", "result"),
    [
        ("optimize", Word.FAIL, "REJECTED"),
        ("deploy", Word.INVALID, "REJECTED"),
        ("deploy", Word.UNCHANGED, "UNCHANGED"),
    ],
)
def test_what_was_never_staged_is_rejected_without_a_write(
    cluster: Cluster, tmp_path: Path, step: str, word: Word, result: str
) -> None:
    refusal = Refusal(subject=published(2).subject, step=step, word=word, reason="parity")
    given, chosen, out = documents(tmp_path, refusal, "r2", word)
    version = cluster.api.store.version
    assert roll_back(given, chosen, "r2", out).outcome == result
    assert cluster.api.store.version == version


def test_a_refusal_before_the_cluster_needs_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    refusal = Refusal(subject=published(2).subject, step="optimize", word=Word.FAIL, reason="no")
    given, chosen, out = documents(tmp_path, refusal, "r2", Word.FAIL)
    assert roll_back(given, chosen, "r2", out).outcome == "REJECTED"


def test_guard_is_green_when_there_is_nothing_to_do(cluster: Cluster, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ended = guard("unknown", page)
    assert (ended.outcome, ended.reason) == ("", "release unknown left nothing in the cluster")
    assert "Nothing to undo" in page.read_text()


def test_guard_writes_a_page_of_what_it_undid(cluster: Cluster, tmp_path: Path) -> None:
    release(cluster, 1, Judge(), Champion())
    stage(cluster, 2)
    page = tmp_path / "page.html"
    ended = guard("r2", page)
    assert ended.outcome == "DIED"
    assert "STAGE" in page.read_text()
    assert cluster.serving == {uri(1)}


def test_sweep_ends_only_what_is_past_its_deadline(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    stage(cluster, 2)
    assert swept(cluster.kube, "", now_s=time.time(), poll_s=POLL_S).returned == 0
    assert swept(cluster.kube, "", now_s=time.time() + 1e6, poll_s=POLL_S).returned == 1
    assert (cluster.journal.outcome, cluster.serving) == (Result.DIED, {uri(1)})


def test_a_write_that_lost_its_race_is_decided_anew(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    alive = cluster.kube

    class Racing(Kubernetes):
        races = 3

        def once(
            self, method: str, path: str, body: Any, query: Mapping[str, str] | None
        ) -> dict[str, Any]:
            if method == "PATCH" and self.races:
                self.races -= 1
                note = {"kubectl.kubernetes.io/last-applied-configuration": f"{self.races}"}
                alive.request("PATCH", path, {"metadata": {"annotations": note}})
            return super().once(method, path, body, query)

    cluster.kube = Racing(alive._client, retry_s=2)
    assert release(cluster, 2, Judge(), Champion()).result is Result.PROMOTED


def test_a_journal_that_somebody_else_wrote_is_not_overwritten(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    save_journal(cluster.kube, stored.journal.ended(Result.DIED, "first"), stored)
    with pytest.raises(Exception, match="somebody else wrote it"):
        save_journal(cluster.kube, stored.journal.ended(Result.DIED, "second"), stored)


# -- two outcomes: traffic safe, spec repaired


def test_a_return_says_when_traffic_is_safe_and_that_the_spec_is_repaired(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    outcome = release(cluster, 2, Judge(at_50=Word.FAIL), Champion())
    assert (outcome.traffic_safe, outcome.spec_repaired) == (True, True)


def test_without_room_for_a_third_revision_traffic_is_safe_and_sweep_repairs_later(
    cluster: Cluster,
) -> None:
    release(cluster, 1, Judge(), Champion())
    deployment = stage(cluster, 2)
    first = next(iter(cluster.traffic))
    cluster.runtime.fates_of_new[uri(1)] = RevisionStatus(
        phase="Failed", reason="CrashLoop", message="no memory left", exit_code=1
    )
    bad = verdict(deployment, "r2", Word.FAIL)
    outcome = returned(cluster.kube, bad, policy(), "r2", poll_s=POLL_S)
    assert (outcome.traffic_safe, outcome.spec_repaired) == (True, False)
    assert "the spec is not repaired" in outcome.reason
    assert cluster.traffic == {first: 100}
    cluster.runtime.fates_of_new.clear()
    cluster.wait(
        lambda: (now := cluster.service.look()) is not None and now.is_healthy(now.created)
    )
    told: list[bool | None] = []

    def tell(found: Journal, _: Exception | None) -> bool:
        told.append(found.spec_repaired)
        return True

    assert swept(cluster.kube, "", now_s=time.time(), poll_s=POLL_S, tell=tell).repaired == 1
    assert told == [True]
    assert (cluster.journal.spec_repaired, cluster.serving) == (True, {uri(1)})
    assert swept(cluster.kube, "", now_s=time.time(), poll_s=POLL_S).repaired == 0


@pytest.mark.parametrize("may_delete", [True, False])
def test_users_leave_a_dead_candidate_at_once_although_nothing_can_be_loaded(
    cluster: Cluster, may_delete: bool
) -> None:
    """Knative takes no percent while the newest ready revision is un-Ready; without it, it does."""
    release(cluster, 1, Judge(), Champion())
    first, alive = next(iter(cluster.traffic)), cluster.kube
    dead = RevisionStatus(phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139)
    cluster.runtime.fates_of_new[uri(1)] = RevisionStatus(phase="Loading")

    class Killer(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            cluster.runtime.fates[uri(2)] = dead
            return Evidence(Word.INCONCLUSIVE)

    class Restricted(Kubernetes):
        def once(
            self, method: str, path: str, body: Any, query: Mapping[str, str] | None
        ) -> dict[str, Any]:
            if method == "DELETE" and not may_delete:
                raise RejectedError("revisions is forbidden")
            return super().once(method, path, body, query)

    cluster.kube = Restricted(alive._client, retry_s=2)
    chosen = policy(traffic={"steps": [50, 100], "bake_s": 0.05})
    deployment = staged_at(staged(cluster.kube, published(2), chosen, "r2", poll_s=POLL_S))
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    save_journal(cluster.kube, stored.journal.model_copy(update={"return_within_s": 4.0}), stored)
    if may_delete:
        outcome = promote_(cluster, deployment, chosen, Killer())
        assert (outcome.traffic_safe, outcome.spec_repaired) == (True, False)
        assert cluster.traffic == {first: 100}
        return
    with pytest.raises(RollbackFailedError, match="could not be returned"):
        promote_(cluster, deployment, chosen, Killer())
    assert deployment.candidate_revision in cluster.traffic


def test_an_incumbent_that_answers_as_another_version_is_not_called_safe(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    deployment = stage(cluster, 2)
    cluster.answers[uri(1)] = "7"
    bad = verdict(deployment, "r2", Word.FAIL)
    short = cluster.journal.model_copy(update={"return_within_s": 1.0})
    stored = load_journal(cluster.kube, "default", NAME)
    save_journal(cluster.kube, short, stored)
    with pytest.raises(RollbackFailedError, match="is answered by version 7, not 1"):
        returned(cluster.kube, bad, policy(), "r2", poll_s=POLL_S)
    assert not cluster.journal.traffic_safe


def shares_given(cluster: Cluster, revision: str) -> list[int]:
    """The shares of production that a revision had, one after another."""
    given = [shares.get(revision, 0) for shares in cluster.ingress.seen]
    return [now for before, now in itertools.pairwise([-1, *given]) if now != before]


def test_a_re_created_incumbent_takes_over_by_the_policys_steps(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())
    release(cluster, 2, Judge(at_50=Word.FAIL), Champion())
    again = next(iter(cluster.traffic))
    assert shares_given(cluster, again) == [0, 10, 50, 100]


@pytest.mark.parametrize(("urgent", "first"), [(False, "RESTORE"), (True, "SHIFT")])
def test_after_100_errors_return_at_once_and_mild_breaches_wait_for_a_warm_incumbent(
    cluster: Cluster, urgent: bool, first: str
) -> None:
    release(cluster, 1, Judge(), Champion())

    class Breach(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            evidence = super().__call__(*given, percent=percent, since_s=since_s)
            return replace(evidence, is_urgent=urgent)

    outcome = release(cluster, 2, Breach(at_100=Word.FAIL), Champion())
    acts = [act.kind for act in cluster.journal.acts]
    assert acts[4] == first  # after STAGE and three shifts
    assert (outcome.traffic_safe, cluster.serving) == (True, {uri(1)})


# -- what the cluster is told


def told(cluster: Cluster) -> list[tuple[str, str, str]]:
    """(reason, type, message) of tidegate's Events on the InferenceService, in their order."""
    events = cluster.kube.request("GET", "/api/v1/namespaces/default/events")["items"]
    ours = [e for e in events if e["source"]["component"] == "tidegate"]
    ours.sort(key=lambda e: int(e["metadata"]["resourceVersion"]))
    return [(e["reason"], e["type"], e["message"]) for e in ours]


def test_every_act_and_the_end_are_events_on_the_service_with_the_release_in_them(
    cluster: Cluster,
) -> None:
    release(cluster, 1, Judge(), Champion())
    release(cluster, 2, Judge(at_10=Word.FAIL), Champion())
    mine = [event for event in told(cluster) if "release r2 of digits version 2" in event[2]]
    assert [(reason, kind) for reason, kind, _ in mine] == [
        ("ReleaseStaged", "Normal"), ("ReleaseTraffic", "Normal"), ("ReleaseTraffic", "Normal"),
        ("ReleaseRestored", "Normal"), ("ReleaseTraffic", "Normal"), ("ReleaseTraffic", "Normal"),
        ("ReleaseTraffic", "Normal"), ("ReleaseRolledBack", "Warning"),
    ]  # fmt: skip
    assert "FAIL at 10 %" in mine[-1][2]


def test_a_promotion_with_a_warning_says_it_in_its_reason_and_in_an_event_of_that_type(
    cluster: Cluster,
) -> None:
    slow = Finding(
        name="p99", word=Word.FAIL, message="p99 41 ms > 25 ms", blocking=False, warns=True
    )

    class Warned(Judge):
        def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
            return Evidence(Word.PASS, findings=(slow,) if percent == 50 else ())

    release(cluster, 1, Judge(), Champion())
    outcome = release(cluster, 2, Warned(), Champion())
    words = "; warning: p99 41 ms > 25 ms (at 50 %)"
    assert (outcome.result, words in outcome.reason) == (Result.PROMOTED, True), outcome.reason
    reason, kind, message = told(cluster)[-1]
    assert (reason, kind) == ("ReleasePromoted", "Warning")
    assert words in message


def test_every_kind_of_act_has_an_event() -> None:
    assert set(REASONS) == set(ActKind)


def test_an_event_that_the_api_does_not_take_changes_nothing(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Champion())

    class Silent(Kubernetes):
        def once(
            self, method: str, path: str, body: Any, query: Mapping[str, str] | None
        ) -> dict[str, Any]:
            if method == "POST" and path.endswith("/events"):
                raise RejectedError("events is forbidden")
            return super().once(method, path, body, query)

    cluster.kube = Silent(cluster.kube._client, retry_s=2)
    assert release(cluster, 2, Judge(), Champion()).result is Result.PROMOTED


@pytest.mark.parametrize("kept_s", [0, 600])
def test_the_policy_keeps_the_last_version_warm_while_the_next_one_bakes_at_100(
    cluster: Cluster, kept_s: int
) -> None:
    warm = policy(traffic={"steps": [100], "bake_s": 0.05, "keep_warm_s": kept_s})
    promote_(cluster, staged_with(cluster, 1, warm), warm, Judge())
    first = next(iter(cluster.traffic))
    promote_(cluster, staged_with(cluster, 2, warm), warm, Judge())
    if kept_s == 0:
        cluster.wait(lambda: first in cluster.runtime.stopped)
        return
    time.sleep(1)  # three times the grace that the cluster gives by itself
    assert first not in cluster.runtime.stopped


def staged_with(cluster: Cluster, version: int, chosen: Policy) -> Deployment:
    result = staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)
    return staged_at(result)
