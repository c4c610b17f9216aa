"""A client of production: steady requests through Envoy, no retry, every answer checked."""

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tidegate.sandbox.envoy_config import REVISION_HEADER

EVERY_S = 0.05
TIMEOUT_S = 10.0
VALUE = 40.0
_PATH = "/v2/models/shift/infer"
_INPUT = {"name": "value", "shape": [1, 1], "datatype": "FP32", "data": [VALUE]}
_BODY = json.dumps({"inputs": [_INPUT]})


@dataclass(frozen=True)
class Answer:
    """One answer; `trouble` is what is wrong with it."""

    version: str = ""
    revision: str = ""
    trouble: str = ""


def ask(connection: http.client.HTTPConnection, host: str) -> Answer:
    """One request, through one connection that is kept."""
    try:
        connection.request("POST", _PATH, _BODY, {"Host": host, "Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return Answer(trouble=f"{type(error).__name__}: {error}")
    revision = response.headers.get(REVISION_HEADER, "")
    if response.status != 200:
        return Answer(revision=revision, trouble=f"HTTP {response.status} {body[:200]!r}")
    return _checked(json.loads(body), revision)


def _checked(answer: dict[str, object], revision: str) -> Answer:
    """The model adds its version, so its answer must fit the version that it names."""
    version = str(answer.get("model_version", ""))
    outputs = answer["outputs"]
    assert isinstance(outputs, list)
    value = outputs[0]["data"][0]
    trouble = "" if value == VALUE + float(version) else f"version {version} answered {value}"
    return Answer(version=version, revision=revision, trouble=trouble)


@dataclass
class Client:
    """Sends until it is stopped; what is not from an allowed version is a failure."""

    port: int
    host: str
    allowed: set[str]
    sent: int = 0
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The last answer is in when this returns."""
        self._stopping.set()
        self._thread.join(TIMEOUT_S + 5)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        while not self._stopping.wait(EVERY_S):
            self._one(connection)
        connection.close()

    def _one(self, connection: http.client.HTTPConnection) -> None:
        began = time.monotonic()
        answer = ask(connection, self.host)
        self.sent += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.answers[answer.version, answer.revision] += 1
        trouble = answer.trouble
        if not trouble and answer.version not in self.allowed:
            trouble = f"answered by version {answer.version}, which was not verified"
        if trouble:
            self.failures.append(f"{began - self._began:.2f} s ({answer.revision}): {trouble}")
