"""A watch: the store's history as a stream of events, from one version on."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from tidegate.sandbox.api.addresses import Address
from tidegate.sandbox.api.errors import ApiError
from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.api.selectors import Predicate
from tidegate.sandbox.api.store import Change, Store

_LOOK_AROUND_S = 0.5  # how often a silent watch looks whether the server is closing


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What one watch request asked for."""

    address: Address
    matches: Predicate
    since: str  # "" and "0": start with what is there
    timeout_s: float
    bookmarks: bool
    initial_events: bool
    render: Callable[[Json], Json]


async def stream(store: Store, watch: Watch, closing: Callable[[], bool]) -> AsyncIterator[bytes]:
    """JSON lines until the timeout, the client's leaving or the server's closing."""
    loop, wake = asyncio.get_running_loop(), asyncio.Event()

    def on_change(_: Change) -> None:
        with contextlib.suppress(RuntimeError):  # the server's loop is gone; the watch is too
            loop.call_soon_threadsafe(wake.set)

    unsubscribe = store.subscribe(on_change)
    try:
        async for event in _events(store, watch, wake, closing):
            yield json.dumps(event).encode() + b"\n"
    except ApiError as error:  # too late for a status code: the stream carries it
        yield json.dumps({"type": "ERROR", "object": error.body()}).encode() + b"\n"
    finally:
        unsubscribe()


async def _events(
    store: Store, watch: Watch, wake: asyncio.Event, closing: Callable[[], bool]
) -> AsyncIterator[Json]:
    deadline = time.monotonic() + watch.timeout_s
    version = int(watch.since) if watch.since.isdigit() else 0
    if version == 0 or watch.initial_events:
        found, version = store.snapshot(watch.address.kind, watch.address.namespace)
        for item in filter(watch.matches, found):
            yield {"type": "ADDED", "object": watch.render(item)}
    if watch.initial_events:
        yield _bookmark(watch, version, {"k8s.io/initial-events-end": "true"})
    while not closing() and (left := deadline - time.monotonic()) > 0:
        wake.clear()
        changes, version = store.changes_since(version)
        for change in changes:
            for event in _event(watch, change):
                yield event
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), min(left, _LOOK_AROUND_S))
    if watch.bookmarks:
        yield _bookmark(watch, version, {})


def _event(watch: Watch, change: Change) -> Iterator[Json]:
    """What the change is to this watch: an object that leaves the selection is deleted for it."""
    at = watch.address
    if change.kind != at.kind or at.namespace not in {"", change.namespace}:
        return
    before = change.old is not None and watch.matches(change.old)
    if change.new is not None and watch.matches(change.new):
        kind = "MODIFIED" if before else "ADDED"
        yield {"type": kind, "object": watch.render(change.new)}
    elif before and change.old is not None:
        last = change.old["metadata"] | {"resourceVersion": str(change.version)}
        yield {"type": "DELETED", "object": watch.render(change.old | {"metadata": last})}


def _bookmark(watch: Watch, version: int, annotations: Json) -> Json:
    meta: Json = {"resourceVersion": str(version), "creationTimestamp": None}
    meta |= {"annotations": annotations} if annotations else {}
    kind = watch.address.kind
    item = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
    return {"type": "BOOKMARK", "object": item}
