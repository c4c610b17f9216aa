"""A real MLflow tracking server and registry on SQLite, with artifacts behind its proxy.

`mlflow server` imports MLflow twice (its command line, then its worker) and takes twice as long; the
same application is started here in one process by `mlflow_app`.
"""

import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx

from tidegate.sandbox.container import answers
from tidegate.sandbox.ports import wanted_or_free
from tidegate.sandbox.process import Child, Spawner


class MlflowServer:
    """The server; its database and artifacts outlive it."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        spawner: Spawner | None = None,
        sandbox_id: str | None = None,
        log: Path | None = None,
        on_exit: Callable[[Child], None] | None = None,
    ) -> None:
        self.port = wanted_or_free(port, flag="--mlflow-port")
        self._directory = directory
        self._log = log or directory / "mlflow.log"
        self._owned_spawner = None if spawner else Spawner()
        self._spawner = spawner or self._owned_spawner
        self._sandbox_id = sandbox_id or uuid.uuid4().hex
        self._on_exit = on_exit
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """The tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    def spawn(self) -> None:
        """Start it without waiting: it is the slowest part of a sandbox."""
        self._directory.mkdir(parents=True, exist_ok=True)
        assert self._spawner is not None
        self.child = Child(
            "mlflow",
            [
                sys.executable,
                "-m",
                "tidegate.sandbox.mlflow_app",
                str(self._directory),
                str(self.port),
            ],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            log=self._log,
            spawner=self._spawner,
            sandbox_id=self._sandbox_id,
            on_exit=self._on_exit,
        )

    def start(self, *, timeout_s: float = 120.0) -> None:
        """Start it and wait until it answers."""
        if self.child is None:
            self.spawn()
        assert self.child is not None
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            self.child.wait_ready(
                lambda: answers(client, f"{self.url}/health"), timeout_s=timeout_s
            )

    def close(self) -> None:
        """End it."""
        if self.child is not None:
            self.child.stop(grace_s=3.0)
        if self._owned_spawner is not None:
            self._owned_spawner.close()
