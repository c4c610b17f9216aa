"""A tritonserver of this machine, started for a moment: it loads a repository, answers, and tells its config.

Where there is none, there is nothing to ask: TIDEGATE_TRITONSERVER names the command (with its own arguments,
such as a backend directory), else `tritonserver` on PATH.
"""

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from tidegate.adapters.model_config_text import from_message
from tidegate.adapters.sequence_ids import sequence_id, sequence_of_one
from tidegate.config import VARIABLES, settings
from tidegate.core.model_config import ModelConfig
from tidegate.errors import RejectedError, UnavailableError, UsageError

Array = npt.NDArray[Any]
READY_S, ASK_S = 120.0, 60.0
ABSENT = "ABSENT"


def command() -> tuple[str, ...]:
    """How a server is started here; () when there is none. Raises UsageError for a command that is none."""
    said = shlex.split(settings().tritonserver)
    if said and shutil.which(said[0]) is None:
        name = VARIABLES["tritonserver"]
        raise UsageError(f"{name}: {said[0]} is no command; name tritonserver, or unset it")
    found = shutil.which("tritonserver")
    return tuple(said) or ((found,) if found else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that a server has loaded."""

    name: str
    http: str
    grpc: str

    def server_version(self) -> str:
        """As `/v2` tells it."""
        return str(httpx.get(f"{self.http}/v2", timeout=ASK_S).json()["version"])

    def version(self) -> tuple[int, int]:
        """Its first two numbers."""
        major, minor, *_ = self.server_version().split(".")
        return int(major), int(minor)

    def config(self, name: str = "") -> ModelConfig:
        """The config as it is served, every default filled in; of another model of the repository by name."""
        from tritonclient.grpc import InferenceServerClient

        client = InferenceServerClient(self.grpc)
        try:
            return from_message(client.get_model_config(name or self.name).config)
        finally:
            client.close()

    def answers(
        self,
        inputs: Mapping[str, Array],
        batch: int,
        *,
        sequential: bool = False,
        what: str = "golden inputs",
    ) -> dict[str, Array]:
        """The outputs for all rows, in batches of `batch` >= 1, each a sequence of its own if `sequential`.

        Raises RejectedError when the model fails, or takes the server down with it.
        """
        from tritonclient.http import InferenceServerClient
        from tritonclient.utils import InferenceServerException

        client = InferenceServerClient(
            self.http.removeprefix("http://"), network_timeout=ASK_S, connection_timeout=ASK_S
        )
        rows, parts = len(next(iter(inputs.values()))), list[dict[str, Array]]()
        try:
            for at in range(0, rows, batch):
                some = {n: a[at : at + batch] for n, a in inputs.items()}
                said = sequence_of_one(sequence_id()) if sequential else {}
                parts.append(_ask(client, self.name, some, said))
        except (InferenceServerException, HTTPException, OSError) as error:
            raise RejectedError(
                f"Triton loads {self.name} and fails on {what}: {error}; correct the model"
            ) from error
        finally:
            client.close()
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _ask(
    client: Any, model: str, inputs: Mapping[str, Array], said: Mapping[str, int | bool]
) -> dict[str, Array]:
    from tritonclient.http import InferInput
    from tritonclient.utils import np_to_triton_dtype

    given = []
    for name, array in inputs.items():
        plain = array.astype(np.bytes_).astype(object) if array.dtype.kind == "U" else array
        one = InferInput(name, list(plain.shape), np_to_triton_dtype(plain.dtype))
        one.set_data_from_numpy(np.ascontiguousarray(plain))
        given.append(one)
    answer = client.infer(model, given, **said)
    names = [output["name"] for output in answer.get_response()["outputs"]]
    return {name: _text(answer.as_numpy(name)) for name in names}


def _text(array: Array) -> Array:
    if array.dtype.kind not in "OS":
        return array
    return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in array.flat]).reshape(
        array.shape
    )


@contextlib.contextmanager
def serving(
    repository: Path, model: str, *others: str, arguments: Sequence[str] = ()
) -> Iterator[Loaded]:
    """A server on loopback with the repository loaded, ended with the block; the others must load too.

    `arguments` are added to its own. Raises RejectedError with the server's reason when the model does not
    load, UnavailableError when nothing comes of it in time.
    """
    with _held_ports(3) as (http, grpc, metrics), tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command(), *_arguments(repository, http, grpc, metrics), *arguments],
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        loaded = Loaded(name=model, http=f"http://127.0.0.1:{http}", grpc=f"127.0.0.1:{grpc}")
        try:
            for name in (*others, model):
                _wait(process, replace(loaded, name=name), log)
            yield loaded
        finally:
            _end(process)


def _arguments(repository: Path, http: int, grpc: int, metrics: int) -> list[str]:
    return [
        f"--model-repository={repository}",
        *(f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")),
        f"--http-port={http}",
        f"--grpc-port={grpc}",
        f"--metrics-port={metrics}",
        "--exit-on-error=false",  # its index then says why
        "--exit-timeout-secs=5",
    ]


def _wait(process: "subprocess.Popen[bytes]", loaded: Loaded, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RejectedError(
                f"Triton ends with {process.returncode} on {loaded.name}: {_last(log)}"
            )
        state, reason = _state(loaded)
        if state == "READY":
            return
        if state == "UNAVAILABLE" and reason:
            raise RejectedError(f"Triton does not load {loaded.name}: {reason}")
        if state == ABSENT:
            raise RejectedError(f"Triton does not load {loaded.name}: {_poll_failed(log, loaded)}")
        time.sleep(0.1)
    raise UnavailableError(f"Triton has not loaded {loaded.name} after {READY_S:g} s: {_last(log)}")


def _state(loaded: Loaded) -> tuple[str, str]:
    """(state, reason) of the model by the server's index; empty while it does not answer.

    It answers when every model was tried, and one whose config it could not take has no state in it.
    """
    try:
        answer = httpx.post(f"{loaded.http}/v2/repository/index", timeout=5)
    except httpx.HTTPError:
        return "", ""
    if answer.status_code != httpx.codes.OK:
        return "", ""
    found: dict[str, str] = next((one for one in answer.json() if one["name"] == loaded.name), {})
    return found.get("state", ABSENT), found.get("reason", "")


def _poll_failed(log: Path, loaded: Loaded) -> str:
    """Why it could not: the server says it in its log alone."""
    said = f"Poll failed for model directory '{loaded.name}': "
    for line in log.read_text(errors="replace").splitlines():
        if said in line:
            return line.partition(said)[2].rstrip('"')
    return _last(log)


def _last(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("E") or "error" in line.lower()] or lines
    return told[-1][:500] if told else "it said nothing"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the server and what it started; a model that hangs does not heed SIGTERM."""
    for what, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, what)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _held_ports(count: int) -> Iterator[list[int]]:
    """Loopback ports that nobody else is given before the end of the block.

    Each is bound here; Linux still lets a server listen on it that sets SO_REUSEADDR, as Triton does.
    """
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield [one.getsockname()[1] for one in held]
