"""Watches: what is delivered, from which version, to whom."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client, watch

from .running_api import CONFIGMAPS, Api, configmap, running

Event = tuple[str, str]


@pytest.fixture
def api() -> Iterator[Api]:
    with running(history=20) as started:
        yield started


LAST = configmap() | {"metadata": {"name": "last", "labels": {"x": "1"}}}  # in every selection


def watched(api: Api, during: Callable[[], None], **query: str) -> list[Event]:
    """The (type, name) of each event of a watch until `during`, which runs beside it, has ended."""
    version = api.get(CONFIGMAPS)["metadata"]["resourceVersion"]
    query = {"watch": "1", "timeoutSeconds": "60", "resourceVersion": version} | query

    def run() -> None:
        during()
        api.post(CONFIGMAPS, LAST)

    worker = threading.Thread(target=run)
    with api.http.stream("GET", CONFIGMAPS, params=query) as response:
        worker.start()
        events = (json.loads(line) for line in response.iter_lines())
        seen = ((event["type"], name_of(event["object"])) for event in events)
        found = list(itertools.takewhile(lambda event: event != ("ADDED", "last"), seen))
    worker.join()
    return found


def name_of(item: dict[str, Any]) -> str:
    return str(item.get("metadata", {}).get("name", item.get("reason", "")))


def test_a_watch_delivers_additions_changes_and_deletions(api: Api) -> None:
    def during() -> None:
        api.post(CONFIGMAPS, configmap("a"))
        api.merge(f"{CONFIGMAPS}/a", {"data": {"k": "v"}})
        api.delete(f"{CONFIGMAPS}/a")

    assert watched(api, during) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_an_object_that_leaves_the_selection_is_deleted_for_the_watch(api: Api) -> None:
    def during() -> None:
        api.post(CONFIGMAPS, configmap("a"))
        api.merge(f"{CONFIGMAPS}/a", {"metadata": {"labels": {"x": "1"}}})
        api.merge(f"{CONFIGMAPS}/a", {"metadata": {"labels": {"x": "2"}}})

    assert watched(api, during, labelSelector="x=1") == [("ADDED", "a"), ("DELETED", "a")]


def test_a_watch_without_a_version_starts_with_what_is_there(api: Api) -> None:
    api.post(CONFIGMAPS, configmap("a"))
    assert watched(api, lambda: None, resourceVersion="") == [("ADDED", "a")]


def test_a_watch_from_a_version_gets_what_happened_since(api: Api) -> None:
    version = api.post(CONFIGMAPS, configmap("a"))["metadata"]["resourceVersion"]
    api.post(CONFIGMAPS, configmap("b"))
    assert watched(api, lambda: None, resourceVersion=version) == [("ADDED", "b")]


def test_a_version_that_is_no_longer_kept_is_expired(api: Api) -> None:
    version = api.post(CONFIGMAPS, configmap("a"))["metadata"]["resourceVersion"]
    for number in range(30):
        api.merge(f"{CONFIGMAPS}/a", {"data": {"n": str(number)}})
    assert watched(api, lambda: None, resourceVersion=version) == [("ERROR", "Expired")]


def test_a_watch_list_ends_its_first_part_with_a_bookmark(api: Api) -> None:
    api.post(CONFIGMAPS, configmap("a"))
    found = watched(api, lambda: None, sendInitialEvents="true", resourceVersion="")
    assert found == [("ADDED", "a"), ("BOOKMARK", "")]


def test_the_official_client_watches(api: Api) -> None:
    core = client.CoreV1Api(client.ApiClient(client.Configuration(host=api.server.url)))
    worker = threading.Thread(target=lambda: api.post(CONFIGMAPS, configmap("a")))
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, "default", resource_version="1", timeout_seconds=60
    )
    worker.start()
    event = next(stream)
    worker.join()
    assert (event["type"], event["object"].metadata.name) == ("ADDED", "a")


def test_a_watch_ends_at_the_timeout_that_it_was_given(api: Api) -> None:
    with api.http.stream("GET", CONFIGMAPS, params={"watch": "1", "timeoutSeconds": "1"}) as found:
        assert list(found.iter_lines()) == []


def test_a_server_stops_under_an_open_watch(api: Api) -> None:
    query = {"watch": "1", "timeoutSeconds": "3600"}  # the test would not live to see its end
    with api.http.stream("GET", CONFIGMAPS, params=query) as found:
        api.server.stop()
        assert list(found.iter_lines()) == []


def test_concurrent_writers_lose_no_update(api: Api) -> None:
    """Eight clients count in one ConfigMap under the optimistic lock."""
    api.post(CONFIGMAPS, configmap(n="0"))
    workers = [threading.Thread(target=count, args=(api,)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert api.get(f"{CONFIGMAPS}/x")["data"] == {"n": "40"}


def count(api: Api) -> None:
    done = 0
    while done < 5:
        item = api.get(f"{CONFIGMAPS}/x")
        item["data"]["n"] = str(int(item["data"]["n"]) + 1)
        done += api.http.put(f"{CONFIGMAPS}/x", json=item).status_code == 200
