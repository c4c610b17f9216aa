"""sweep: every release past its deadline is ended, in every namespace, whatever is wrong with one of them."""

import time
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.steps.traffic.test_promote import Judge, Registry, promote_, release, stage
from tests.steps.traffic.traffic_cluster import (
    NAME,
    POLL_S,
    Cluster,
    policy,
    published,
    staged_at,
    uri,
)
from tidegate.adapters.release_lock import load_journal, save_journal
from tidegate.cli import app
from tidegate.core.journal import Journal
from tidegate.documents import Result
from tidegate.errors import DocumentError, RollbackFailedError
from tidegate.sandbox.interfaces import RevisionStatus
from tidegate.steps.deploy import staged
from tidegate.steps.sweep import swept


def journal(cluster: Cluster, namespace: str) -> Journal:
    stored = load_journal(cluster.kube, namespace, NAME)
    assert stored
    return stored.journal


def late(cluster: Cluster, namespace: str = "default", **changes: Any) -> None:
    stored = load_journal(cluster.kube, namespace, NAME)
    assert stored
    update = {"deadline_s": time.time() - 1, **changes}
    save_journal(cluster.kube, stored.journal.model_copy(update=update), stored)


@pytest.fixture
def two_dead(cluster: Cluster) -> Cluster:
    """A dead release of version 2 in two namespaces."""
    release(cluster, 1, Judge(), Registry())
    stage(cluster, 2)
    late(cluster)
    cluster.kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    elsewhere = policy(namespace="other")
    first = staged(cluster.kube, published(1), elsewhere, "o1", poll_s=POLL_S)
    promote_(cluster, staged_at(first), elsewhere, Judge())
    staged_at(staged(cluster.kube, published(2), elsewhere, "o2", poll_s=POLL_S))
    late(cluster, "other")
    return cluster


def test_without_a_namespace_it_sweeps_all_and_says_how_many(two_dead: Cluster) -> None:
    done = CliRunner().invoke(app, ["sweep", "--namespace", ""])
    assert (done.exit_code, done.stdout) == (0, "2\n")
    for namespace in ("default", "other"):
        assert journal(two_dead, namespace).outcome is Result.DIED
    assert CliRunner().invoke(app, ["sweep"]).stdout == "0\n"


def test_with_a_namespace_it_leaves_the_others(two_dead: Cluster) -> None:
    assert CliRunner().invoke(app, ["sweep", "--namespace", "other"]).stdout == "1\n"
    assert journal(two_dead, "other").outcome is Result.DIED
    assert not journal(two_dead, "default").is_over


def test_a_journal_that_cannot_be_read_stops_no_other_and_is_told_at_the_end(
    two_dead: Cluster,
) -> None:
    path = f"/api/v1/namespaces/other/configmaps/tidegate-{NAME}"
    two_dead.kube.request("PATCH", path, {"data": {"journal.json": "{"}})
    with pytest.raises(DocumentError, match=f"ConfigMap other/tidegate-{NAME}"):
        swept(two_dead.kube, "", now_s=time.time(), poll_s=POLL_S)
    assert journal(two_dead, "default").outcome is Result.DIED
    assert two_dead.serving == {uri(1)}


def test_production_that_cannot_be_returned_is_the_alarm_whatever_else_failed(
    two_dead: Cluster,
) -> None:
    path = f"/api/v1/namespaces/other/configmaps/tidegate-{NAME}"
    two_dead.kube.request("PATCH", path, {"data": {"journal.json": "{"}})
    two_dead.service.patch({"spec": {"predictor": {"canaryTrafficPercent": 50}}})
    two_dead.wait(lambda: len(two_dead.traffic) == 2)
    dead = RevisionStatus(phase="Failed", reason="CrashLoop", message="dead", exit_code=1)
    two_dead.runtime.fates |= {uri(1): dead, uri(2): dead}
    late(two_dead, return_within_s=1.0)
    told: list[str] = []

    def tell(found: Journal, error: Exception | None) -> bool:
        told.append(f"{found.release_id}: {error}")
        return len(told) > 1  # the first message is lost

    for later in (0, 1000, 2000):
        with pytest.raises(RollbackFailedError, match="run: kubectl -n default patch"):
            swept(two_dead.kube, "", now_s=time.time() + later, poll_s=POLL_S, tell=tell)
    assert len(told) == 2, "told again until somebody has heard it, and then no more"
    assert all(f"{NAME} could not be returned" in one for one in told)
    assert journal(two_dead, "default").told == ("not returned",)
