"""The Lease is one holder's at a time, whatever happens; the journal is written by compare-and-swap."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.conftest import Space
from tests.faults.calls import Call
from tests.faults.wire import Fault, Wire, between
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.adapters.release_lock import (
    LEASE_S,
    SKEW_S,
    Lease,
    label_of,
    list_journals,
    load_journal,
    save_journal,
)
from tidegate.core.journal import Journal
from tidegate.documents import Subject
from tidegate.errors import ConflictError, DocumentError, UsageError
from tidegate.sandbox.api.kubeconfig import write_kubeconfig


def lease_path(space: Space) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{space.namespace}/leases/tidegate-m"


def journal_path(space: Space) -> str:
    return f"/api/v1/namespaces/{space.namespace}/configmaps/tidegate-m"


def lease_of(space: Space, holder: str, kube: Kubernetes | None = None) -> Lease:
    return Lease(kube or space.kube, space.namespace, "m", holder)


def holder_of(space: Space) -> str:
    found = space.kube.find(lease_path(space))
    assert found
    return str(found["spec"]["holderIdentity"])


def renewed(space: Space, ago_s: float) -> None:
    """Somebody renewed the Lease so long ago, by the clock of this machine."""
    found = space.kube.find(lease_path(space))
    assert found
    then = datetime.now(UTC) - timedelta(seconds=ago_s)
    found["spec"]["renewTime"] = then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    space.kube.request("PUT", lease_path(space), found)


# -- one holder


def test_a_lease_is_taken_renewed_and_given_back(space: Space) -> None:
    lease = lease_of(space, "a")
    with lease.held():
        first = space.kube.find(lease_path(space))
        lease.acquire()
        second = space.kube.find(lease_path(space))
    assert first
    assert second
    assert first["spec"]["holderIdentity"] == "a"
    assert first["spec"]["renewTime"] < second["spec"]["renewTime"]
    assert holder_of(space) == ""
    with lease_of(space, "b").held():
        assert holder_of(space) == "b"


def test_a_living_holder_is_named_and_not_robbed(space: Space) -> None:
    lease_of(space, "a").acquire()
    with pytest.raises(ConflictError, match="is held by release a"):
        lease_of(space, "b").acquire()


def test_only_the_holder_gives_it_back(space: Space) -> None:
    lease_of(space, "a").acquire()
    lease_of(space, "b").release()
    assert holder_of(space) == "a"


@pytest.mark.parametrize(
    "ago_s", [0, LEASE_S, LEASE_S + SKEW_S - 3, -SKEW_S, -3600], ids=lambda s: f"{s} s ago"
)
def test_a_lease_is_not_stolen_before_it_expires_by_any_clock_in_step(
    space: Space, ago_s: float
) -> None:
    lease_of(space, "a").acquire()
    renewed(space, ago_s)
    with pytest.raises(ConflictError):
        lease_of(space, "b").acquire()


def test_an_expired_lease_is_taken_over_and_the_old_holder_does_not_free_it(space: Space) -> None:
    old, new = lease_of(space, "a"), lease_of(space, "b")
    old.acquire()
    renewed(space, LEASE_S + SKEW_S + 1)
    new.acquire()
    old.release()
    assert holder_of(space) == "b"


def test_an_expired_lease_has_one_heir(space: Space) -> None:
    lease_of(space, "a").acquire()
    renewed(space, LEASE_S + SKEW_S + 1)
    assert sum(at_once(6, lambda number, kube: took(lease_of(space, f"n{number}", kube)))) == 1


def test_of_many_who_take_a_new_lease_at_once_one_has_it(space: Space) -> None:
    assert sum(at_once(8, lambda number, kube: took(lease_of(space, f"n{number}", kube)))) == 1


def took(lease: Lease) -> bool:
    try:
        lease.acquire()
    except ConflictError:
        return False
    return True


def at_once(count: int, act: Callable[[int, Kubernetes], bool]) -> list[bool]:
    """In as many threads, each with a connection of its own, all let go at the same time."""
    start = threading.Barrier(count)

    def one(number: int) -> bool:
        with connect(retry_s=10) as kube:
            start.wait(30)
            return act(number, kube)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_no_two_threads_are_ever_inside(space: Space) -> None:
    inside: list[int] = []

    def enter(number: int, kube: Kubernetes) -> bool:
        with patiently(lease_of(space, f"n{number}", kube)):
            inside.append(number)
            time.sleep(0.01)
            alone = inside == [number]
            inside.remove(number)
        return alone

    assert all(at_once(8, enter))


@contextmanager
def patiently(lease: Lease, within_s: float = 60) -> Iterator[None]:
    """Hold it as soon as nobody else does."""
    deadline = time.monotonic() + within_s
    while not took(lease):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield
    finally:
        lease.release()


def count_up(namespace: str, file: Path, number: int) -> None:
    """Read, wait, write: every count that two processes do at the same time is lost."""
    with connect(retry_s=10) as kube:
        for _ in range(4):
            with patiently(Lease(kube, namespace, "m", f"p{number}")):
                seen = int(file.read_text())
                time.sleep(0.01)
                file.write_text(str(seen + 1))


def test_no_two_processes_are_ever_inside(space: Space, tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0")
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(count_up, space.namespace, file), range(3)))
    assert file.read_text() == "12"


# -- answers that are lost


@pytest.fixture
def wire(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    space.needs_the_emulated_server()
    with between(space.url) as held:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "wire", held.url)))
        yield held


LEASES = "leases.coordination.k8s.io"


@pytest.mark.parametrize(("verb", "purpose"), [("create", "take"), ("update", "take")])
def test_a_lease_whose_answer_was_lost_is_ours_at_the_next_look(
    space: Space, wire: Wire, verb: str, purpose: str
) -> None:
    if verb == "update":
        with lease_of(space, "before").held():
            pass
    lost = Fault("lost", Call("act", verb, LEASES, purpose))
    with connect(retry_s=5) as kube, wire.during("act", lost):
        lease = lease_of(space, "a", kube)
        with pytest.raises(ConflictError):
            lease.acquire()
        assert holder_of(space) == "a"
        with lease.held():
            assert holder_of(space) == "a"
    assert (lost.fired, holder_of(space)) == (1, "")


def test_a_lease_whose_return_was_lost_is_free(space: Space, wire: Wire) -> None:
    lost = Fault("lost", Call("act", "update", LEASES, "give back"))
    with connect(retry_s=5) as kube, wire.during("act", lost), lease_of(space, "a", kube).held():
        pass
    assert (lost.fired, holder_of(space)) == (1, "")


@pytest.mark.parametrize("verb", ["create", "update"])
def test_a_journal_whose_answer_was_lost_is_known_by_its_content(
    space: Space, wire: Wire, verb: str
) -> None:
    purpose = "open the journal"
    if verb == "update":
        save_journal(space.kube, a_journal(space), None)
        purpose = "note reason"
    wanted = a_journal(space, reason="as the test wants it")
    with connect(retry_s=5) as kube:
        before = load_journal(kube, space.namespace, "m")
        lost = Fault("lost", Call("act", verb, "configmaps", purpose))
        with wire.during("act", lost):
            saved = save_journal(kube, wanted, before)
        again = save_journal(kube, wanted.model_copy(update={"reason": "and again"}), saved)
    assert (lost.fired, saved.journal, again.journal.reason) == (1, wanted, "and again")


# -- journal


def a_journal(space: Space, **changes: Any) -> Journal:
    subject = Subject(model="m", version="2", digest=f"sha256:{2:064d}")
    return Journal(
        subject=subject, namespace=space.namespace, name="m", deadline_s=1,
        storage_uri="s3://m/2/", **{"release_id": "r", **changes},
    )  # fmt: skip


def test_a_journal_is_found_by_its_service_and_by_its_release(space: Space) -> None:
    saved = save_journal(space.kube, a_journal(space), None).journal
    by_name = load_journal(space.kube, space.namespace, "m")
    assert by_name
    by_release = list_journals(space.kube, space.namespace, release_id="r")
    assert [by_name.journal, *[found.journal for found in by_release]] == [saved, saved]
    assert list_journals(space.kube, space.namespace, release_id="another") == []


def test_of_many_who_write_a_journal_at_once_one_does(space: Space) -> None:
    stored = save_journal(space.kube, a_journal(space), None)

    def write(number: int, kube: Kubernetes) -> bool:
        try:
            save_journal(kube, a_journal(space, reason=f"by {number}"), stored)
        except ConflictError:
            return False
        return True

    wrote = at_once(6, write)
    found = load_journal(space.kube, space.namespace, "m")
    assert found
    assert (sum(wrote), found.journal.reason) == (1, f"by {wrote.index(True)}")


def test_a_journal_that_was_only_labelled_is_written_again(space: Space) -> None:
    stored = save_journal(space.kube, a_journal(space), None)
    label = {"metadata": {"labels": {"backup.example.com/keep": "yes"}}}
    space.kube.request("PATCH", journal_path(space), label)
    saved = save_journal(space.kube, a_journal(space, reason="again"), stored)
    found = load_journal(space.kube, space.namespace, "m")
    assert found
    assert (found.journal, saved.journal) == (saved.journal, a_journal(space, reason="again"))
    assert found.config_map["metadata"]["labels"]["backup.example.com/keep"] == "yes"


def test_what_others_keep_in_the_journals_config_map_stays(space: Space) -> None:
    stored = save_journal(space.kube, a_journal(space), None)
    theirs = {"metadata": {"annotations": {"team": "b"}}, "data": {"notes": "do not page"}}
    space.kube.request("PATCH", journal_path(space), theirs)
    for reason in ("once", "twice"):
        stored = save_journal(space.kube, a_journal(space, reason=reason), stored)
    assert stored.config_map["metadata"]["annotations"]["team"] == "b"
    assert stored.config_map["data"]["notes"] == "do not page"


def test_a_journal_that_was_deleted_under_its_release_is_made_anew(space: Space) -> None:
    stored = save_journal(space.kube, a_journal(space), None)
    space.kube.request("DELETE", journal_path(space))
    save_journal(space.kube, a_journal(space, reason="still ours"), stored)
    found = load_journal(space.kube, space.namespace, "m")
    assert found
    assert found.journal.reason == "still ours"


def test_a_journal_that_another_release_has_made_in_its_place_is_not_overwritten(
    space: Space,
) -> None:
    stored = save_journal(space.kube, a_journal(space), None)
    space.kube.request("DELETE", journal_path(space))
    save_journal(space.kube, a_journal(space, release_id="another"), None)
    with pytest.raises(ConflictError):
        save_journal(space.kube, a_journal(space, reason="late"), stored)
    found = load_journal(space.kube, space.namespace, "m")
    assert found
    assert found.journal.release_id == "another"


def test_a_config_map_that_is_no_journal_is_named(space: Space) -> None:
    body = {"metadata": {"name": "tidegate-m"}, "data": {"journal.json": '{"release_id": 7}'}}
    space.kube.request("POST", journal_path(space).rpartition("/")[0], body)
    with pytest.raises(DocumentError, match=f"ConfigMap {space.namespace}/tidegate-m"):
        load_journal(space.kube, space.namespace, "m")


@pytest.mark.parametrize("release_id", ["", "a b", "x" * 64, "-a", "a/b"])
def test_a_release_id_that_is_no_label_is_refused(release_id: str) -> None:
    with pytest.raises(UsageError, match="is no label value"):
        label_of(release_id)
