"""Feast's own feature server on loopback, over the example's feature repository: applied, filled, served."""

import os
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.feast import customers
from tidegate.sandbox.ports import free_port

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "examples" / "transformer" / "feature_repo"
FEAST = ROOT / ".tidegate" / "feast" / "bin" / "feast"
needs_feast = pytest.mark.skipif(
    not FEAST.exists(), reason="Feast is not installed here; `make test-feast` installs it"
)
START_S = 120  # its imports alone take seconds, on a busy machine ten of them


class FeatureServer:
    """As docs/serving.md says to run it: by default its one worker ends after a thousand answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "feature_repo"
        self._environment = os.environ | {"HOME": str(folder)}  # where gunicorn puts a socket
        shutil.copytree(REPOSITORY, self._folder)
        customers.write(self._folder / "data" / "customers.parquet")
        self._feast("apply")
        self._feast("materialize-incremental", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}")
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def start(self) -> None:
        """Until it answers."""
        with (self._folder / "serve.log").open("a") as log:
            self._process = subprocess.Popen(
                [str(FEAST), "serve", "--port", str(self._port), "--max-requests", "0", "--no-access-log"],
                cwd=self._folder, env=self._environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not self._is_up():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.2)

    def die(self) -> None:
        """At once, with its worker: the group is its own."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, question: object) -> httpx.Response:
        """Its answer, whatever it is."""
        url = f"http://{self.address}/get-online-features"
        return httpx.post(url, json=question, trust_env=False, timeout=20)

    @property
    def log(self) -> str:
        """What it has written."""
        return (self._folder / "serve.log").read_text()

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"http://{self.address}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _feast(self, *words: str) -> None:
        done = subprocess.run(
            [str(FEAST), *words], cwd=self._folder, env=self._environment,
            capture_output=True, text=True, timeout=START_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
