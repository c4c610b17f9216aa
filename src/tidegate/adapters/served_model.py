"""A served model over HTTP: is it ready, and which version answers."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import httpx

from tidegate.adapters.ingress import context, target
from tidegate.adapters.sequence_ids import sequence_id, sequence_of_one
from tidegate.config import settings
from tidegate.documents import Probe, Tensor
from tidegate.errors import ConflictError, RejectedError, TidegateError, UnavailableError

Json = dict[str, Any]
Values = Mapping[
    str, int | float | str
]  # by an input's name: what it is asked with in place of zeros
NOTHING: Values = MappingProxyType({})
log = logging.getLogger("tidegate")
SAY_EVERY_S = 4.0
SAMPLE = 5  # requests; a revision that still has a third of them is missed once in eight times
CONVERGE_S = 3.0  # every ingress has a new table by then
TRANSIENT = (404, 429, 502, 503, 504)  # a route that was just programmed answers these for a moment


class Patience:
    """A deadline that says now and then what it waits for."""

    def __init__(self, within_s: float, say: Callable[[str], None]) -> None:
        self._deadline, self._say, self._said = time.monotonic() + within_s, say, 0.0

    def is_over(self, what: str) -> bool:
        """Sleep a moment, unless time is up."""
        if time.monotonic() > self._deadline:
            return True
        if time.monotonic() - self._said > SAY_EVERY_S:
            self._said = time.monotonic()
            self._say(f"waiting for {what}")
        time.sleep(0.3)
        return False


def url_of(host: str) -> str:
    """Where to connect: the ingress, or the service's own name where that resolves."""
    return settings().ingress_url.rstrip("/") or f"http://{host}"


def _client(host: str) -> httpx.Client:
    """Routed by the host name, with the ingress's TLS and token. Raises UsageError."""
    to = target(settings(), host, {})

    def named(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = to.server_name

    return httpx.Client(
        base_url=url_of(host),
        headers={"Host": host, **to.headers},
        timeout=4,
        verify=context(to.tls) if to.tls else False,  # no certificates are read for plain HTTP
        event_hooks={"request": [named] if to.tls else []},
    )


def versions_answering(
    host: str,
    model: str,
    inputs: Sequence[Tensor],
    *,
    values: Values = NOTHING,
    sequential: bool = False,
    requests: int = SAMPLE,
    within_s: float = 30.0,
    say: Callable[[str], None] = log.info,
) -> tuple[str, ...]:
    """Ask readiness and send real requests, one after another; the version that answered each.

    Raises UnavailableError when nothing answers in time, RejectedError when the model refuses.
    """
    patience = Patience(within_s, say)
    with _client(host) as client:
        _answer(lambda: client.get(f"/v2/models/{model}/ready"), host, patience)
        body = _request(inputs, values, sequential=sequential)
        answers = [
            _answer(
                lambda: client.post(f"/v2/models/{model}/infer", json=body),
                host,
                patience,
                asked=_said(inputs, values),
            )
            for _ in range(requests)
        ]
    return tuple(_version(answer, host) for answer in answers)


def answers_as(
    host: str,
    probe: Probe,
    *,
    within_s: float = 30.0,
    say: Callable[[str], None] = log.info,
) -> None:
    """The version that the probe names answers every request of a sample: the host has all of its traffic on
    one revision. Then the models beside it. Raises as `versions_answering`, and ConflictError when another
    version goes on answering: a route that was just programmed may do so for a moment."""
    _answers_as(host, probe, within_s=within_s, say=say)
    for one in probe.beside:
        say(f"asking {host} for {one.model} version {one.version} beside it")
        try:
            _answers_as(host, one, within_s=within_s, say=say)
        except TidegateError as error:
            raise type(error)(f"{one.model}, a model beside {probe.model}: {error}") from error


def _answers_as(host: str, probe: Probe, *, within_s: float, say: Callable[[str], None]) -> None:
    patience = Patience(min(within_s, CONVERGE_S), say)
    while True:
        found = _versions(host, probe, within_s=within_s, say=say)
        others = [version for version in found if version != probe.version]
        if not others:
            return
        share = f"{len(others)} of {len(found)} requests"
        said = f"{host} is answered by version {others[0]}, not {probe.version} ({share})"
        if patience.is_over(said):
            raise ConflictError(f"{said}; look at the routes of the service")


def _versions(
    host: str, probe: Probe, *, within_s: float, say: Callable[[str], None]
) -> tuple[str, ...]:
    if probe.server == "kserve":
        return _versions_by_event(host, probe, within_s=within_s, say=say)
    if probe.transport == "http":
        return versions_answering(
            host,
            probe.model,
            probe.inputs,
            values=probe.values,
            sequential=probe.sequential,
            within_s=within_s,
            say=say,
        )
    from tidegate.adapters.served_grpc import versions_over_grpc

    over = Patience(within_s, say).is_over
    return versions_over_grpc(
        host,
        probe.model,
        probe.inputs,
        sequential=probe.sequential,
        requests=SAMPLE,
        is_over=over,
    )


def _versions_by_event(
    host: str, probe: Probe, *, within_s: float, say: Callable[[str], None]
) -> tuple[str, ...]:
    """Of a server of KServe's own."""
    from tidegate.adapters import served_event

    patience = Patience(within_s, say)
    with _client(host) as client:
        ready, asked = served_event.questions(client, probe, SAMPLE)
        _answer(ready, host, patience)
        answers = [_answer(one, host, patience) for one in asked]
    return tuple(served_event.version(one, host, probe.model) for one in answers)


def _request(inputs: Sequence[Tensor], values: Values, *, sequential: bool) -> Json:
    said = {"parameters": sequence_of_one(sequence_id())} if sequential else {}
    return {"inputs": [_input(tensor, values) for tensor in inputs], **said}


def _input(tensor: Tensor, values: Values) -> Json:
    """One row of zeros: any model must take it, and warm-up sends the same. A transformer may take no
    zeros, as of an entity that nobody has: then its own value."""
    shape = [max(axis, 1) for axis in tensor.shape]
    zero: Any = {"STRING": "", "BOOL": False}.get(tensor.dtype, 0)
    value = values.get(tensor.name, zero)
    dtype = "BYTES" if tensor.dtype == "STRING" else tensor.dtype
    return {"name": tensor.name, "datatype": dtype, "shape": shape, "data": [value] * prod(shape)}


def _said(inputs: Sequence[Tensor], values: Values) -> str:
    own = (f"{one.name} {values[one.name]}" for one in inputs if one.name in values)
    return ", ".join(own) or "zeros"


def _answer(
    send: Callable[[], httpx.Response], host: str, patience: Patience, *, asked: str = "zeros"
) -> httpx.Response:
    while True:
        said = "no answer"
        try:
            answer = send()
            if answer.is_success:
                return answer
            said = f"HTTP {answer.status_code}: {answer.text[:300]}"
            if answer.status_code not in TRANSIENT:
                raise RejectedError(f"{host} refuses a request of {asked}: {said}; check the model")
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
        if patience.is_over(f"{host} ({said})"):
            raise UnavailableError(
                f"{host} does not answer at {url_of(host)}: {said}; check the ingress"
            )


def _version(answer: httpx.Response, host: str) -> str:
    try:
        return str(answer.json()["model_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise RejectedError(
            f"{host} does not name a model_version; serve it with Triton"
        ) from error
