"""Runs the containers of Jobs as processes of this machine: the command, without its image.

There is no container engine here, so what a container would find in its image must be on this machine; one
without a `command` is what an image that cannot be pulled is to a cluster.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.errors import TidegateError
from tidegate.sandbox.process import Child, Spawner

NO_SUCH_COMMAND = 127  # as a shell says it
GRACE_S = 1.0


class ProcessJobs:
    """A `JobRunner` of child processes; their logs are files below `folder`."""

    def __init__(self, folder: Path, *, spawner: Spawner, sandbox_id: str) -> None:
        self._folder, self._spawner, self._sandbox_id = folder, spawner, sandbox_id
        self._pods: dict[tuple[str, str], dict[str, Child | int]] = {}
        self._lock = threading.Lock()

    def start(self, namespace: str, pod: str, containers: Sequence[Mapping[str, Any]]) -> None:
        """Start every container that has a command."""
        with self._lock:
            if (namespace, pod) in self._pods:
                return
            runnable = [one for one in containers if one.get("command")]
            self._pods[namespace, pod] = {
                one["name"]: self._run(namespace, pod, one) for one in runnable
            }

    def exits(self, namespace: str, pod: str) -> Mapping[str, int | None]:
        """Container -> its exit code, None while it runs; a signal is 128 + its number."""
        with self._lock:
            running = dict(self._pods.get((namespace, pod), {}))
        return {name: _exit_code(one) for name, one in running.items()}

    def stop(self, namespace: str, pod: str) -> None:
        """Kill what still runs of a pod, in the background; its logs stay."""
        with self._lock:
            running = self._pods.pop((namespace, pod), {})
        for one in running.values():
            if isinstance(one, Child) and one.is_alive:
                threading.Thread(target=one.stop, kwargs={"grace_s": GRACE_S}, daemon=True).start()

    def log(self, namespace: str, pod: str, container: str = "") -> str:
        """What a container has written; '' where there is nothing."""
        found = sorted(self._folder.glob(f"{namespace}.{pod}.{container or '*'}.log"))
        return found[0].read_text(errors="replace") if found else ""

    def close(self) -> None:
        """Kill everything, and wait until it is gone."""
        with self._lock:
            pods, self._pods = self._pods, {}
        for one in (one for running in pods.values() for one in running.values()):
            if isinstance(one, Child) and one.is_alive:
                one.stop(grace_s=GRACE_S)

    def _run(self, namespace: str, pod: str, container: Mapping[str, Any]) -> Child | int:
        name = str(container["name"])
        given = {str(one["name"]): str(one.get("value", "")) for one in container.get("env") or ()}
        argv = [str(part) for part in (*container["command"], *(container.get("args") or ()))]
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{namespace}.{pod}.{name}.log"
        try:
            return Child(
                f"{pod}/{name}", argv, env={**os.environ, **given}, log=log, spawner=self._spawner,
                sandbox_id=self._sandbox_id,
            )  # fmt: skip
        except (OSError, TidegateError) as error:
            log.write_text(f"{error}\n")
            return NO_SUCH_COMMAND


def _exit_code(one: Child | int) -> int | None:
    if isinstance(one, int):
        return one
    code = one.exit_code
    return 128 - code if code is not None and code < 0 else code
