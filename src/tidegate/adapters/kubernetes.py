"""Access to the Kubernetes API through the official client: one way to ask, one place for its errors.

Importing the client takes over a second, so it is imported when a connection is made. Everything travels
as plain dicts; which objects tidegate reads and writes stands in `inference_service` and `release_lock`.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml
from tenacity import Retrying, retry_if_exception_type, stop_before_delay

from tidegate.adapters.kubernetes_answers import backoff, is_older, why
from tidegate.config import settings
from tidegate.errors import (
    ConflictError,
    RejectedError,
    TidegateError,
    UnavailableError,
    UsageError,
)

Json = dict[str, Any]
log = logging.getLogger("tidegate")

MERGE_PATCH = "application/merge-patch+json"
REQUEST_TIMEOUT_S = (3.0, 15.0)  # connect, read
RETRY_S = 20.0
BROKEN = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
)  # what the client raises on a bad kubeconfig


class Kubernetes:
    """One connection; every call retries what may pass, and raises tidegate's errors.

    `retry_s` bounds the tries of one call, `timeouts_s` (connect, read) each of them.
    """

    def __init__(
        self,
        client: Any,
        *,
        retry_s: float = RETRY_S,
        timeouts_s: tuple[float, float] = REQUEST_TIMEOUT_S,
        say: Callable[[str], None] = log.info,
    ) -> None:
        self._client, self._retry_s, self._timeouts_s = client, retry_s, timeouts_s
        self._say, self._until = say, float("inf")
        self._newest: dict[str, str] = {}  # path of an object -> its newest resourceVersion so far

    @contextmanager
    def until(self, deadline_s: float) -> Iterator[None]:
        """No call in this block goes on past this moment (of `time.monotonic`), nor begins after it."""
        before, self._until = self._until, deadline_s
        try:
            yield
        finally:
            self._until = before

    def find(self, path: str, *, since: str = "", **query: str) -> Json | None:
        """GET an object; None when it does not exist.

        `since` is a resourceVersion that was seen otherwise, in a list for example.
        """
        if is_older(self._newest.get(path, "0"), since):
            self._newest[path] = since
        try:
            return self.request("GET", path, query=query)
        except RejectedError as error:
            if _code(error) == 404:
                return None
            raise

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Any call. A lost answer to a write is retried, and then met by its own conflict: callers that
        get a ConflictError read again and decide anew. A read never goes back behind what was seen."""
        retry = Retrying(
            retry=retry_if_exception_type(UnavailableError),
            wait=backoff,
            stop=stop_before_delay(min(self._retry_s, self._left_s)),
            before_sleep=lambda state: self._say(f"waiting for the Kubernetes API ({why(state)})"),
            reraise=True,
        )
        answer: Json = retry(self._fresh, method, path, body, query)
        return answer

    @property
    def _left_s(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def _fresh(
        self, method: str, path: str, body: Json | None, query: Mapping[str, str] | None
    ) -> Json:
        """One attempt, refused when it shows an older version of the object than an answer before it."""
        answer = self.once(method, path, body, query)
        metadata = answer.get("metadata") or {}
        name, version = metadata.get("name"), metadata.get("resourceVersion", "")
        if not name or "dryRun" in (query or {}):
            return answer
        one = path if path.endswith(f"/{name}") else f"{path}/{name}"
        if not is_older(version, newest := self._newest.get(one, "")):
            self._newest[one] = version
        elif method == "GET":
            raise UnavailableError(
                f"GET {path} was answered with version {version}, older than {newest}; try again"
            )
        return answer

    def once(
        self, method: str, path: str, body: Json | None, query: Mapping[str, str] | None
    ) -> Json:
        """One attempt."""
        what = f"{method} {path}"
        if not self._left_s:
            raise UnavailableError(f"the Lease of this act ran out before {what}; look again")
        with _errors(what):
            answer = self._send(method, path, body, query)
        if not isinstance(answer, dict):  # a proxy in between, or a body that was cut
            raise UnavailableError(f"{what} was answered with no object; try again")
        return answer

    def text(self, path: str, query: Mapping[str, str]) -> str:
        """GET what is no JSON, such as a log. One attempt."""
        with _errors(f"GET {path}"):
            answer = self._client.call_api(
                path,
                "GET",
                query_params=list(query.items()),
                header_params={"Accept": "*/*"},
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=self._timeouts_s,
            )
            data: bytes = answer.data
        return data.decode(errors="replace")

    def _send(
        self, method: str, path: str, body: Json | None, query: Mapping[str, str] | None
    ) -> object:
        kind = MERGE_PATCH if method == "PATCH" else "application/json"
        answer: object = self._client.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            response_type="object",
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _request_timeout=tuple(min(s, max(self._left_s, 0.01)) for s in self._timeouts_s),
        )
        return answer

    def close(self) -> None:
        """Drop the connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()


@contextmanager
def connect(
    *,
    retry_s: float = RETRY_S,
    timeouts_s: tuple[float, float] = REQUEST_TIMEOUT_S,
    say: Callable[[str], None] = log.info,
) -> Iterator[Kubernetes]:
    """A connection from KUBECONFIG, from the pod's own account, or from ~/.kube/config.

    Raises UsageError when none of them is there.
    """
    from kubernetes.client import ApiClient

    client = ApiClient(configuration=_configuration())
    kube = Kubernetes(client, retry_s=retry_s, timeouts_s=timeouts_s, say=say)
    try:
        yield kube
    finally:
        kube.close()


def _configuration() -> Any:
    from kubernetes import config
    from kubernetes.client import Configuration

    configuration = Configuration()
    try:
        if settings().kubeconfig:
            config.load_kube_config(settings().kubeconfig, client_configuration=configuration)
        else:
            _load_default(configuration)
    except (config.ConfigException, yaml.YAMLError, *BROKEN) as error:
        named = settings().kubeconfig or "~/.kube/config"
        raise UsageError(
            f"no cluster to talk to ({named}: {error}); set KUBECONFIG to a kubeconfig file"
        ) from error
    configuration.retries = False  # retried here, where a deadline holds
    return configuration


def _load_default(configuration: Any) -> None:
    from kubernetes import config

    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        config.load_kube_config(client_configuration=configuration)


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """The client's exceptions as tidegate's."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise _translated(what, error) from error
    except (HTTPError, OSError) as error:
        raise UnavailableError(
            f"the Kubernetes API cannot be reached ({what}: {error}); try again"
        ) from error


def _translated(what: str, error: Any) -> TidegateError:
    said = _message(error)
    if error.status == 409:
        return ConflictError(f"{what}: {said}; somebody else wrote it, read again")
    if error.status == 429 or error.status >= 500 or not error.status:
        return UnavailableError(f"{what}: HTTP {error.status}: {said}; try again")
    return RejectedError(f"{what}: HTTP {error.status}: {said}; correct the object or the role")


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason or error.body)


def _code(error: RejectedError) -> int | None:
    status = getattr(error.__cause__, "status", None)
    return status if isinstance(status, int) else None
