"""What servers use of CPU and memory, as metrics-server has it from the kubelets; here from the processes.

A server's CPU seconds are those of its containers' processes and all that they started (Triton, its Python
stubs, a transformer), of those that have ended, too. Two looks make a usage, so it is an average over the
window between them. Nobody looks while nothing is scaled by CPU or memory.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import psutil

from tidegate.sandbox.interfaces import Key, Usage

_log = logging.getLogger(__name__)
RESOLUTION_S = 15.0  # metrics-server's --metric-resolution
Server = tuple[str, str, int]  # (namespace, template, replica)
Running = Callable[[], Mapping[Server, Sequence[int]]]  # the processes of each server's containers


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """CPU seconds and resident bytes of a server's processes, at one time."""

    at_s: float
    cpu_s: float
    memory_bytes: int
    processes: frozenset[tuple[int, float]]  # (pid, creation time) of the containers' own


class ProcessMeter:
    """Implements ResourceMeter over psutil."""

    def __init__(self, running: Running, resolution_s: float = RESOLUTION_S) -> None:
        self._running, self._resolution_s = running, resolution_s
        self._keys: frozenset[Key] = frozenset()
        self._looks: dict[Server, Look] = {}
        self._usages: dict[Server, Usage] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def follow(self, keys: Collection[Key]) -> None:
        """Measure the servers of these templates."""
        self._keys = frozenset(keys)

    def usage(self, namespace: str, name: str, replica: int = 0) -> Usage | None:
        """The newest word on one server."""
        return self._usages.get((namespace, name, replica))

    def look(self) -> None:
        """Look at every followed server once."""
        keys = self._keys
        running = self._running() if keys else {}
        wanted = {one: pids for one, pids in running.items() if one[:2] in keys}
        looks = {one: found for one, pids in wanted.items() if (found := look(pids, time.time()))}
        self._usages = {
            server: usage
            for server, found in looks.items()
            if (usage := between(self._looks.get(server), found))
        }
        self._looks = looks

    def _watch(self) -> None:
        while not self._closing.wait(self._resolution_s):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - what was known grows old; the next look tries again
                self._looks, self._usages = {}, {}
                _log.exception("The use of the servers could not be measured")


def between(before: Look | None, now: Look) -> Usage | None:
    """The usage from one look to the next; None where a container was started in between."""
    if before is None or before.processes != now.processes:
        return None
    window = now.at_s - before.at_s
    used = now.cpu_s - before.cpu_s
    if window <= 0 or used < 0:  # a process that nobody waited for took its seconds along
        return None
    return Usage(
        at_s=now.at_s, window_s=window, cpu_cores=used / window, memory_bytes=now.memory_bytes
    )


def look(pids: Sequence[int], now: float) -> Look | None:
    """Add up the processes' trees; None while one of them is not there."""
    try:
        roots = [psutil.Process(pid) for pid in pids]
        own = frozenset((one.pid, one.create_time()) for one in roots)
        tree = [one for root in roots for one in (root, *root.children(recursive=True))]
        used = [_of(one) for one in tree]
    except psutil.Error:
        return None
    cpu, memory = (sum(column) for column in zip(*used, strict=True)) if used else (0.0, 0)
    return Look(at_s=now, cpu_s=cpu, memory_bytes=int(memory), processes=own)


def _of(process: psutil.Process) -> tuple[float, int]:
    with process.oneshot():
        times = process.cpu_times()
        ended = times.children_user + times.children_system  # and were waited for
        return times.user + times.system + ended, int(process.memory_info().rss)
