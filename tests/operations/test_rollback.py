"""rollback --to: an earlier version is back at once, and only one that was promoted before."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.operations.running import Undecided, beside
from tests.operations.test_resume import release_lease, resume
from tests.operations.test_status import stopped_at
from tests.steps.traffic.test_promote import Judge, Registry, promote_, release, stage
from tests.steps.traffic.test_roll_back import Crash, Dying
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
from tidegate.adapters.release_history import KEY, history_of
from tidegate.adapters.release_lock import load_journal, save_journal
from tidegate.cli import app
from tidegate.core.history import KEPT, History
from tidegate.core.journal import ActKind, Journal, Phase
from tidegate.documents import Result, Word
from tidegate.errors import ConflictError, DocumentError, NotPromotedError, UsageError
from tidegate.operations.finding import found
from tidegate.operations.recorded import policy_of
from tidegate.operations.rollback import rolled_back
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept


def rollback(
    cluster: Cluster, to: str, registry: Registry | None = None, **changes: Any
) -> Journal:
    stored = found(cluster.kube, NAME, "")
    aliases = (registry or Registry()).aliases
    return rolled_back(
        cluster.kube, stored, to, who="ann@laptop", aliases=aliases, poll_s=POLL_S,
        judge_every_s=POLL_S, **changes,
    )  # fmt: skip


@pytest.fixture
def promoted_2(cluster: Cluster) -> Cluster:
    release(cluster, 1, Judge(), Registry())
    release(cluster, 2, Judge(), Registry())
    return cluster


def history(cluster: Cluster) -> History:
    stored = load_journal(cluster.kube, "default", NAME)
    assert stored
    return history_of(stored.config_map["data"], what="test")


def versions(cluster: Cluster) -> list[str]:
    return [one.subject.version for one in history(cluster).promoted]


@pytest.mark.parametrize("to", ["1", "previous", "digits-predictor-00001"])
def test_an_earlier_version_is_back_warm_first_and_then_at_once(
    promoted_2: Cluster, to: str
) -> None:
    registry = Registry()
    registry.champion = "2"
    promoted_2.ingress.seen.clear()
    journal = rollback(promoted_2, to, registry)
    assert (journal.outcome, promoted_2.serving) == (Result.PROMOTED, {uri(1)})
    assert [(a.kind, a.percent) for a in journal.acts] == [("STAGE", 0), ("SHIFT", 100)]
    assert journal.release_id.startswith("rollback-")
    assert journal.hand == "rolled back by ann@laptop"
    assert registry.champion == "1"
    reached = [tuple(sorted(shares)) for shares in promoted_2.ingress.seen]
    assert {len(names) for names in reached} == {1}  # one revision at a time


def test_the_template_is_the_one_that_was_promoted_then(cluster: Cluster) -> None:
    """Also in what the later release changed or added."""
    release(cluster, 1, Judge(), Registry())
    before = cluster.service.look()
    chosen = {"ready_timeout_s": 5, "timeout_s": 33, "labels": {"team": "b"}}
    later = staged(cluster.kube, published(2), policy(serving=chosen), "r2", poll_s=POLL_S)
    promote_(cluster, staged_at(later), policy(serving=chosen), Judge())
    rollback(cluster, "previous")
    after = cluster.service.look()
    assert before
    assert after
    assert after.template == before.template


def test_what_was_promoted_is_remembered_with_the_end_of_its_journal(promoted_2: Cluster) -> None:
    assert versions(promoted_2) == ["1", "2"]
    bad = verdict(stage(promoted_2, 3), "r3", Word.FAIL)
    returned(promoted_2.kube, bad, policy(), "r3", poll_s=POLL_S)
    assert versions(promoted_2) == ["1", "2"]


def test_no_more_is_remembered_than_the_last_ones(promoted_2: Cluster) -> None:
    stored = load_journal(promoted_2.kube, "default", NAME)
    assert stored
    for number in range(KEPT + 3):
        ended = stored.journal.model_copy(update={"release_id": f"x{number}"})
        stored = save_journal(promoted_2.kube, ended, stored)
    kept = history(promoted_2).promoted
    assert [one.release_id for one in kept] == [f"x{n}" for n in range(3, KEPT + 3)]


def test_previous_is_what_served_before_so_twice_is_there_and_back(promoted_2: Cluster) -> None:
    rollback(promoted_2, "previous")
    assert promoted_2.serving == {uri(1)}
    rollback(promoted_2, "previous")
    assert promoted_2.serving == {uri(2)}
    assert versions(promoted_2) == ["1", "2", "1", "2"]


def test_a_version_that_was_never_promoted_is_refused_with_what_is_known(
    promoted_2: Cluster,
) -> None:
    bad = verdict(stage(promoted_2, 3), "r3", Word.FAIL)
    returned(promoted_2.kube, bad, policy(), "r3", poll_s=POLL_S)
    version = promoted_2.api.store.version
    known = r"known: 2 \(digits-predictor-00002\), 1 \(digits-predictor-00001\)"
    with pytest.raises(UsageError, match=known):
        rollback(promoted_2, "3")
    assert promoted_2.api.store.version == version


def test_the_version_that_serves_is_unchanged(promoted_2: Cluster) -> None:
    version = promoted_2.api.store.version
    journal = rollback(promoted_2, "2")
    assert journal.outcome is Result.UNCHANGED
    assert "already serves" in journal.reason
    assert promoted_2.api.store.version == version


def test_a_version_that_does_not_come_up_leaves_production_as_it_was(promoted_2: Cluster) -> None:
    fate = RevisionStatus(phase="Failed", reason="ModelLoadFailed", message="gone", exit_code=1)
    promoted_2.runtime.fates[uri(1)] = fate
    registry = Registry()
    with pytest.raises(NotPromotedError, match="gone"):
        rollback(promoted_2, "1", registry)
    assert (promoted_2.serving, registry.champion) == ({uri(2)}, "1")


def test_production_that_is_answered_by_another_version_is_taken_back(promoted_2: Cluster) -> None:
    host = f"{NAME}.default.example.com"
    promoted_2.answers[f"{host} {uri(1)}"] = "7"
    journal = rollback(promoted_2, "1")
    assert journal.outcome is Result.ROLLED_BACK
    assert "is answered by version 7, not 1" in journal.reason


def test_a_running_release_is_not_disturbed_unless_that_is_meant(promoted_2: Cluster) -> None:
    judge = Undecided(10)
    slow = {"steps": [10, 100], "bake_s": 60, "max_bake_s": 60, "step_timeout_s": 5}

    def run(held: Cluster) -> object:
        return promote_(held, stage(held, 3), policy(traffic=slow), judge)

    with beside(promoted_2, run) as promotion:
        assert judge.baking.wait(20)
        with pytest.raises(ConflictError, match="or give --abort"):
            rollback(promoted_2, "1")
        assert promoted_2.journal.phase is Phase.PROMOTING
        journal = rollback(promoted_2, "1", abort_first=True)
    assert "was aborted by ann@laptop: for a roll-back to 1" in str(promotion.error) or (
        "has taken over default/digits" in str(promotion.error)
    )
    assert (journal.outcome, promoted_2.serving) == (Result.PROMOTED, {uri(1)})


def test_an_unknown_version_aborts_nothing(promoted_2: Cluster) -> None:
    stage(promoted_2, 3)
    with pytest.raises(UsageError):
        rollback(promoted_2, "9", abort_first=True)
    assert promoted_2.journal.phase is Phase.STAGED


@pytest.mark.parametrize(("alias", "named"), [(None, "1"), ("", "2")])
def test_the_alias_follows_as_the_last_policy_says_or_as_given(
    promoted_2: Cluster, alias: str | None, named: str
) -> None:
    registry = Registry()
    registry.champion = "2"
    rollback(promoted_2, "previous", registry, alias=alias)
    assert registry.champion == named


def dies_and_is_done_again(cluster: Cluster, lives_for: int, *, ends_with: str) -> None:
    """A roll-back from 2 to 1 that dies after this many writes; production then, and after a second try."""
    alive = cluster.kube
    cluster.kube = Dying(alive, lives_for)
    with pytest.raises(Crash):
        rollback(cluster, "1")
    cluster.kube = alive
    release_lease(cluster)
    assert len(cluster.serving) == 1
    if cluster.journal.phase is Phase.PROMOTING:
        journal = resume(cluster, Judge(at_100=Word.FAIL))
        assert journal.outcome is Result.PROMOTED  # no gate for what was promoted before
    elif cluster.journal.fast_track and not cluster.journal.is_over:
        journal = resume(cluster)
        assert (journal.outcome, journal.hand) == (Result.PROMOTED, "resumed by ann@laptop")
        kinds = [act.kind for act in journal.acts]
        assert (kinds.count(ActKind.STAGE), kinds[-1]) == (1, ends_with), (
            "staged anew, or not all done"
        )
    else:
        swept(alive, "", now_s=1e12, poll_s=POLL_S)
        if cluster.serving == {uri(2)}:
            rollback(cluster, "1")
    assert cluster.serving == {uri(1)}


@pytest.mark.parametrize("lives_for", range(15))
def test_after_a_death_at_any_write_production_is_whole_and_it_can_be_done_again(
    promoted_2: Cluster, lives_for: int
) -> None:
    dies_and_is_done_again(promoted_2, lives_for, ends_with="SHIFT")


def test_a_spoilt_memory_is_named_and_keeps_no_release_from_its_end(promoted_2: Cluster) -> None:
    path = f"/api/v1/namespaces/default/configmaps/tidegate-{NAME}"
    promoted_2.kube.request("PATCH", path, {"data": {KEY: "{"}})
    assert release(promoted_2, 3, Judge(), Registry()).result is Result.PROMOTED
    with pytest.raises(DocumentError, match=r"history\.json is no history"):
        rollback(promoted_2, "previous")
    kept = promoted_2.kube.request("GET", path)["data"][KEY]
    assert kept == "{"


def test_a_history_survives_its_json(promoted_2: Cluster) -> None:
    remembered = history(promoted_2)
    assert History.model_validate_json(remembered.model_dump_json()) == remembered


def test_after_a_rollback_the_next_release_works(promoted_2: Cluster) -> None:
    rollback(promoted_2, "1")
    assert release(promoted_2, 3, Judge(), Registry()).result is Result.PROMOTED
    assert versions(promoted_2) == ["1", "2", "1", "3"]


def test_a_journal_from_before_there_was_a_memory_knows_nothing(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    path = f"/api/v1/namespaces/default/configmaps/tidegate-{NAME}"
    cluster.kube.request("PATCH", path, {"data": {KEY: None}})
    with pytest.raises(UsageError, match="known: nothing that tidegate has promoted"):
        rollback(cluster, "previous")


@pytest.mark.parametrize(("said", "now"), [("refuse", "auto"), ("report", "report")])
def test_a_journal_with_the_preflights_older_name_is_gone_back_from(
    promoted_2: Cluster, said: str, now: str
) -> None:
    path = f"/api/v1/namespaces/default/configmaps/tidegate-{NAME}"
    held = json.loads(promoted_2.kube.request("GET", path)["data"]["journal.json"])
    held["policy"]["serving"] |= {"gpu": {"kind": "whole", "preflight": said}}
    del held["policy"]["serving"]["preflight"]
    promoted_2.kube.request("PATCH", path, {"data": {"journal.json": json.dumps(held)}})
    stored = load_journal(promoted_2.kube, "default", NAME)
    assert stored
    assert policy_of(stored.journal).serving.preflight == now
    assert rollback(promoted_2, "previous").outcome is Result.PROMOTED


def test_the_command_says_the_word(promoted_2: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = CliRunner().invoke(app, ["rollback", NAME, "--to", "previous", "--alias", ""])
    assert (done.exit_code, done.stdout) == (0, "PROMOTED\n"), done.stderr
    assert promoted_2.serving == {uri(1)}
    assert json.loads(promoted_2.journal.model_dump_json())["fast_track"] is True


def test_a_stopped_promotion_is_no_version_to_go_back_to(cluster: Cluster) -> None:
    release(cluster, 1, Judge(), Registry())
    stopped_at(cluster, 50)
    assert versions(cluster) == ["1"]
