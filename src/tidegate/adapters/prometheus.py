"""Prometheus' HTTP API, asked so that its every way of not knowing has its own name.

Time is Prometheus' own (`time()`), never this machine's. Queries are repeated within a budget when the
server is away or overloaded, and never when it has understood and refused.
https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from tidegate.adapters.prometheus_access import Access
from tidegate.config import VARIABLES
from tidegate.core.counters import Series, longest_gap, newest, scrape_interval
from tidegate.core.readings import Reading, Trouble
from tidegate.errors import RejectedError, TidegateError, UnavailableError
from tidegate.policy.promql import selectors_of

STALE_AFTER_INTERVALS = 2
MOST_MISSING = 0.1  # of a window
CLASSIC = "keep the classic ones beside them (always_scrape_classic_histograms)"
CREDENTIALS = f"{VARIABLES['prometheus_token_file']} or {VARIABLES['prometheus_username']}"


class PartialAnswerError(UnavailableError):
    """The server answered, and says itself that something is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """One Prometheus-compatible server; a user and password may also stand in the URL."""

    url: str
    access: Access = field(default_factory=Access)
    timeout_s: float = 5.0
    budget_s: float = 15.0
    clock: Callable[[], float] = time.time  # this machine's, Unix time

    def now(self) -> float:
        """Prometheus' own clock, Unix time. Raises UnavailableError or RejectedError."""
        return float(self._ask("query", query="time()")["result"][1])

    def skew_s(self) -> float:
        """How far Prometheus' clock is surely ahead of this machine's (behind: negative), seconds.

        What the question took is on either side of the answer, so that much is never called skew.
        """
        before = self.clock()
        there, after = self.now(), self.clock()
        return min(0.0, there - before) or max(0.0, there - after)

    def number(self, query: str, *, window_s: float = 0.0) -> Reading:
        """The one number that a query gives now, or the trouble; never raises for what a server does.

        A hole in the samples of the last `window_s` is trouble too.
        """
        try:
            stale = self._staleness(query, window_s)
            if stale:
                return Reading(query=query, trouble=Trouble.STALE, detail=stale)
            return reading(query, self._ask("query", query=query))
        except PartialAnswerError as error:
            return Reading(query=query, trouble=Trouble.PARTIAL, detail=str(error))
        except RejectedError as error:
            return Reading(query=query, trouble=Trouble.REFUSED, detail=str(error))
        except UnavailableError as error:
            return Reading(query=query, trouble=Trouble.UNREACHABLE, detail=str(error))

    def numbers_before(self, query: str, *, looks: int, every_s: float) -> tuple[float | None, ...]:
        """What the query gave at the looks before now, newest first; None where it gave no one number.

        Raises UnavailableError or RejectedError.
        """
        now = self.now()
        times = [now - every_s * n for n in range(1, looks + 1)]
        span = {"start": f"{times[-1]:.3f}", "end": f"{times[0]:.3f}", "step": f"{every_s:g}"}
        found = self._ask("query_range", query=query, **span)["result"]
        values = dict(found[0]["values"]) if len(found) == 1 and "values" in found[0] else {}
        looked = {round((now - float(at)) / every_s): float(value) for at, value in values.items()}
        numbers = {n: value for n, value in looked.items() if math.isfinite(value)}
        return tuple(numbers.get(n) for n in range(1, looks + 1))

    def series(self, selector: str, *, window_s: float) -> tuple[Series, ...]:
        """Raw samples of the last window, as scraped. Raises UnavailableError or RejectedError."""
        answer = self._ask("query", query=f"{selector}[{max(1, math.ceil(window_s))}s]")
        return tuple(_series(selector, one) for one in answer["result"])

    def metric_names(self, pattern: str = ".+") -> frozenset[str]:
        """The metrics of that name that it has samples of now. Raises UnavailableError or RejectedError."""
        query = f'count by (__name__) ({{__name__=~"{pattern}"}})'
        found = self._ask("query", query=query)["result"]
        return frozenset(one["metric"].get("__name__", "") for one in found)

    def _staleness(self, query: str, window_s: float) -> str:
        """Words when the newest sample behind a query is older than two scrapes, or samples are missing."""
        try:
            selectors = selectors_of(query)
        except ValueError:
            return ""  # Prometheus says itself what is wrong with it
        for name in selectors:
            found = self.series(name, window_s=max(600.0, window_s))
            now = self.now()
            stale = staleness(found, now=now) or gap(found, since=now - window_s) if found else ""
            if stale:
                return stale
        return ""

    def _ask(self, path: str, **asked: str) -> dict[str, Any]:
        retrying = Retrying(
            retry=retry_if_exception_type(UnavailableError),
            stop=stop_after_delay(self.budget_s),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
            sleep=time.sleep,
        )
        answer: dict[str, Any] = retrying(self._ask_once, path, asked)
        return answer

    def _ask_once(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        try:
            response = httpx.post(
                f"{self.url.rstrip('/')}/api/v1/{path}",
                data={**asked, "timeout": f"{self.timeout_s:g}s"},
                timeout=self.timeout_s,
                verify=self.access.tls(self.url),
                headers=self.access.headers(),
                auth=self.access.auth(),
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(error, self.url) from error
        return _payload(response, self.url)


def _unreachable(error: Exception, url: str) -> TidegateError:
    said = f"Prometheus at {shown(url)} cannot be asked ({type(error).__name__}: {error})"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return RejectedError(f"{said}; name its authority in {VARIABLES['prometheus_ca_file']}")
    return UnavailableError(f"{said}; check {VARIABLES['prometheus_url']} and that it runs")


def _series(selector: str, one: dict[str, Any]) -> Series:
    if "values" not in one:
        raise RejectedError(
            f"{selector} has native histograms, which have no buckets to count; {CLASSIC}"
        )
    samples = tuple((float(at), float(value)) for at, value in one["values"])
    return Series(labels=one["metric"], samples=samples)


def shown(url: str) -> str:
    """The URL without credentials."""
    return re.sub(r"//[^/@]*@", "//", url)


def _payload(response: httpx.Response, url: str) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = {}
    words = body.get("error") if isinstance(body, dict) else None
    if response.status_code != 200 or not _complete(body):
        raise _refusal(response, words or " ".join(response.text[:200].split()), url)
    warnings = [w for w in body.get("warnings", ()) if not w.startswith("PromQL info")]
    if warnings:
        raise PartialAnswerError(f"Prometheus warns: {'; '.join(warnings)}; repair it first")
    data: dict[str, Any] = body["data"]
    return data


def _complete(body: Any) -> bool:
    """Whether this is what a Prometheus says when it has understood."""
    data = body.get("data") if isinstance(body, dict) and body.get("status") == "success" else None
    return isinstance(data, dict) and {"resultType", "result"} <= data.keys()


def _refusal(response: httpx.Response, words: str, url: str) -> TidegateError:
    status = response.status_code
    text = f"Prometheus at {shown(url)} answered HTTP {status} ({words})"
    if status in (400, 422):
        return RejectedError(f"{text}; correct the query")
    if status in (401, 403):
        return RejectedError(f"{text}; give credentials in {CREDENTIALS}")
    if status == 404 or 300 <= status < 400:
        return RejectedError(f"{text}; TIDEGATE_PROMETHEUS_URL does not name a Prometheus")
    return UnavailableError(f"{text}; try again later")


def reading(query: str, data: dict[str, Any]) -> Reading:
    """The one number of an instant answer, or the trouble with it."""
    result = data["result"]
    if data["resultType"] == "scalar":
        return _number(query, result[1])
    if data["resultType"] != "vector":
        detail = f"the query gives a {data['resultType']}, not one number"
        return Reading(query=query, trouble=Trouble.REFUSED, detail=detail)
    if not result:
        return Reading(query=query, trouble=Trouble.EMPTY, detail="the query matches no series")
    if len(result) > 1:
        detail = f"{len(result)} series for one number; aggregate them, e.g. sum(...)"
        return Reading(query=query, trouble=Trouble.SEVERAL, detail=detail)
    if "value" not in result[0]:
        detail = "the query gives a native histogram; take a quantile of it"
        return Reading(query=query, trouble=Trouble.REFUSED, detail=detail)
    return _number(query, result[0]["value"][1])


def _number(query: str, text: str) -> Reading:
    value = float(text)
    if math.isnan(value):
        return Reading(query=query, trouble=Trouble.NAN, detail="0/0: no traffic in the window")
    if math.isinf(value):
        detail = f"the query gives {text}; it divides by 0"
        return Reading(query=query, trouble=Trouble.INFINITE, detail=detail)
    return Reading(query=query, value=value)


def staleness(series: list[Series] | tuple[Series, ...], *, now: float) -> str:
    """Words when the newest sample is older than two scrape intervals; '' when it is fresh."""
    last, interval = newest(series), scrape_interval(series)
    if last is None:
        return "no sample at all"
    usual = interval if interval is not None else 60.0
    if now - last <= STALE_AFTER_INTERVALS * usual + 1.0:  # a scrape takes a moment to be stored
        return ""
    return f"the newest sample is {now - last:.0f} s old, scraped every {round(usual, 1):g} s"


def gap(series: list[Series] | tuple[Series, ...], *, since: float) -> str:
    """Words when samples are missing for more than two scrapes and a tenth of the window; '' otherwise."""
    longest, usual = longest_gap(series, since=since), scrape_interval(series) or 0.0
    window = (newest(series) or since) - since
    if longest <= max(STALE_AFTER_INTERVALS * usual + 1.0, MOST_MISSING * window):
        return ""
    return f"no sample for {longest:.0f} of the last {window:.0f} s, scraped every {round(usual, 1):g} s"
