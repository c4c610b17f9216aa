"""MLflow's documented REST API 2.0 over HTTP: credentials, retries within a deadline, errors by class.

`import mlflow` costs seconds of CPU and a release runs many short processes, so the SDK is not used
where a plain request does the same.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from tidegate.config import Settings, settings
from tidegate.errors import RejectedError, TidegateError, UnavailableError, UsageError

T = TypeVar("T")

DEADLINE_S = 10.0  # longer outages are the orchestrator's retry (exit code 75)
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


def quiet(_: str) -> None:
    """Progress that nobody listens to."""


class BusyError(UnavailableError):
    """The server may answer the same call in a moment."""


class NotFoundError(RejectedError):
    """The server knows no such thing; callers say which things it does know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowHttp:
    """A connection to one tracking server."""

    url: str
    client: httpx.Client
    deadline_s: float
    say: Callable[[str], None] = quiet

    def get(self, path: str, /, **parameters: str) -> dict[str, Any]:
        """GET an API path, e.g. `mlflow/model-versions/get`."""
        return self.call("GET", path, params=parameters)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST a JSON body; only for calls that may be repeated."""
        return self.call("POST", path, json=body)

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """One API call. Raises NotFoundError, RejectedError, UnavailableError."""

        def once() -> dict[str, Any]:
            response = self.client.request(method, f"{self.url}/api/2.0/{path}", **arguments)
            self.check(response)
            return self._json(response)

        return self.retried(once)

    def retried(self, once: Callable[[], T]) -> T:
        """Repeat what can be repeated until the deadline."""
        retrying = Retrying(
            retry=retry_if_exception_type((httpx.TransportError, BusyError)),
            stop=stop_after_delay(self.deadline_s),
            wait=wait_random_exponential(multiplier=0.2, max=3),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return retrying(once)
        except httpx.TransportError as error:
            raise UnavailableError(
                f"MLflow at {self.url} does not answer ({_reason(error)}); "
                "start it, or set MLFLOW_TRACKING_URI to the right server"
            ) from error

    def check(self, response: httpx.Response) -> None:
        """Raise the class of error that a status stands for."""
        if response.is_success:
            return
        response.read()
        message = _message(response)
        if response.status_code in _TRY_AGAIN:
            raise BusyError(
                f"MLflow at {self.url} answered {response.status_code} ({message}); try again later"
            )
        if response.status_code in (401, 403):
            raise RejectedError(
                f"MLflow at {self.url} refused the credentials ({response.status_code}); set "
                "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        kind = NotFoundError if response.status_code == 404 else RejectedError
        raise kind(
            f"MLflow at {self.url} refused ({response.status_code}): {message}; correct the request"
        )

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            loaded = response.json() if response.content.strip() else {}
        except json.JSONDecodeError:
            loaded = None
        if not isinstance(loaded, dict):
            raise RejectedError(
                f"{response.url} is not an MLflow tracking server (it answered "
                f"{response.headers.get('content-type', 'nothing')}); correct MLFLOW_TRACKING_URI"
            )
        return loaded

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        waited = f"{state.seconds_since_start or 0:.0f} of {self.deadline_s:.0f} s"
        self.say(f"waiting for MLflow at {self.url}: {_reason(error)} ({waited})")


@contextmanager
def connect(
    given: Settings | None = None,
    *,
    say: Callable[[str], None] = quiet,
    deadline_s: float | None = None,
) -> Iterator[MlflowHttp]:
    """Connect to the tracking server of the environment."""
    where = given or settings()
    url = where.need("mlflow_tracking_uri").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"MLFLOW_TRACKING_URI {url!r} is no http(s) URL; set it to a tracking server, "
            "e.g. http://mlflow.mlflow:5000 (start one with `mlflow server`)"
        )
    deadline = DEADLINE_S if deadline_s is None else deadline_s
    timeout = httpx.Timeout(30.0, connect=min(5.0, max(deadline, 0.1)))
    with httpx.Client(timeout=timeout, auth=_auth(where), headers=_headers(where)) as client:
        yield MlflowHttp(url=url, client=client, deadline_s=deadline, say=say)


def _auth(where: Settings) -> httpx.BasicAuth | None:
    if not where.mlflow_tracking_username:
        return None
    return httpx.BasicAuth(where.mlflow_tracking_username, where.mlflow_tracking_password)


def _headers(where: Settings) -> dict[str, str]:
    if where.mlflow_tracking_username or not where.mlflow_tracking_token:
        return {}  # the SDK's own order: a user name wins over a token
    return {"Authorization": f"Bearer {where.mlflow_tracking_token}"}


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or response.reason_phrase


def _reason(error: BaseException | None) -> str:
    if isinstance(error, TidegateError):
        return str(error)
    return str(error) or type(error).__name__
