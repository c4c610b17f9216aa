"""Tells monitoring how a release stands, beside the release: never in its way, never its failure.

What is told waits for a thread of its own. Of metrics the newest state is told, and older ones that still
wait are dropped; every note is told. What fails is a line of the log, and after MOST_FAILURES of them nothing
is told to that place any more. A process gives its last words END_S to get out.
"""

import atexit
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.config import settings
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.telemetry import Sample, of_report, samples
from tidegate.documents import Report
from tidegate.policy.telemetry import Telemetry

log = logging.getLogger("tidegate")

CALL_S = 3.0
END_S = 5.0
MOST_FAILURES = 3
RELEASE, GATE = "tidegate-release", "tidegate-gate"  # jobs: what replaces what


@dataclass(slots=True)
class Teller:
    """The queue and its thread, started by the first word."""

    waiting: queue.Queue[tuple[str, Callable[[], None]]] = field(default_factory=queue.Queue)
    failures: dict[str, int] = field(default_factory=dict)
    _newest: dict[str, Callable[[], None]] = field(default_factory=dict)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, place: str, call: Callable[[], None], *, replaces: str = "") -> None:
        """Queue one call; with `replaces` it stands for all of that name that still wait."""
        with self._lock:
            if replaces:
                is_waiting = replaces in self._newest
                self._newest[replaces] = call
                if is_waiting:
                    return
                call = self._latest(replaces)
            self.waiting.put((place, call))
            self._start()

    def _latest(self, name: str) -> Callable[[], None]:
        def call() -> None:
            with self._lock:
                newest = self._newest.pop(name)
            newest()

        return call

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
            atexit.register(self.flush, END_S)

    def _run(self) -> None:
        while True:
            place, call = self.waiting.get()
            try:
                self._call(place, call)
            finally:
                self.waiting.task_done()

    def _call(self, place: str, call: Callable[[], None]) -> None:
        if self.failures.get(place, 0) >= MOST_FAILURES:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the release goes on
            self.failures[place] = self.failures.get(place, 0) + 1
            log.warning("telemetry: %s: %s", place, " ".join(str(error).split())[:300])

    def flush(self, within_s: float) -> bool:
        """Wait until all is told, or time is over."""
        ends = time.monotonic() + within_s
        while self.waiting.unfinished_tasks and time.monotonic() < ends:
            time.sleep(0.02)
        return not self.waiting.unfinished_tasks


TELLER = Teller()


def told_of(journal: Journal) -> Telemetry:
    """What the release's own policy wants, whoever drives it now. A journal without a policy tells nobody."""
    return Telemetry.model_validate(journal.policy.get("telemetry") or {})


def tell_state(journal: Journal, *, alarm: bool = False) -> None:
    """The gauges of a release as it stands."""
    _guarded(lambda: _state(journal, alarm))


def tell_act(journal: Journal, act: ActRecord) -> None:
    """A note of an act that moved traffic."""
    if act.percent is None and act.kind not in {ActKind.CREATE, ActKind.DELETE}:
        return
    share = "" if act.percent is None else f" {act.percent} %"
    _guarded(lambda: _note(journal, f"{act.kind.value}{share}: {act.why}", act.kind.value))


def tell_end(journal: Journal) -> None:
    """A note of how it ended, and its trace."""
    result = journal.outcome.value if journal.outcome else "ENDED"
    _guarded(lambda: _note(journal, f"{result}: {journal.reason}", result))
    _guarded(lambda: _trace(journal))


def tell_alarm(journal: Journal, message: str) -> None:
    """A roll-back failed: somebody has to act."""
    tell_state(journal, alarm=True)
    _guarded(lambda: _note(journal, f"ALARM: {message}", "alarm"))


def tell_report(report: Report, wanted: Telemetry, *, namespace: str, service: str) -> None:
    """The gate's word and the latencies that it judged."""
    about = {"namespace": namespace, "inferenceservice": service}
    made = of_report(report, namespace=namespace, service=service)
    _guarded(lambda: _metrics(wanted, made, GATE, about))


def _guarded(act: Callable[[], None]) -> None:
    """Not even a mistake of our own here may end a release."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - as above
        log.warning("telemetry: %s", error)


def _about(journal: Journal) -> dict[str, str]:
    return {"namespace": journal.namespace, "inferenceservice": journal.name}


def _state(journal: Journal, alarm: bool) -> None:
    wanted = told_of(journal)
    if wanted.metrics != "none":
        made = samples(journal, at_s=time.time(), alarm=alarm)
        _metrics(wanted, made, RELEASE, _about(journal))


def _metrics(wanted: Telemetry, made: Sequence[Sample], job: str, about: dict[str, str]) -> None:
    if wanted.metrics == "none":
        return
    call = {"textfile": _textfile, "pushgateway": _pushed, "otlp": _sent}[wanted.metrics]
    told: Callable[[], Any] = lambda: call(made, job, about)  # noqa: E731 - queued as it is
    TELLER.tell(wanted.metrics, told, replaces="/".join([job, *about.values()]))


def _textfile(made: Sequence[Sample], job: str, about: dict[str, str]) -> None:
    from tidegate.adapters.exposition import write

    write(Path(settings().need("textfile_dir")), made, job=job, about=about)


def _pushed(made: Sequence[Sample], job: str, about: dict[str, str]) -> None:
    from tidegate.adapters.exposition import push

    push(settings().need("pushgateway_url"), made, job=job, about=about, timeout_s=CALL_S)


def _sent(made: Sequence[Sample], job: str, about: dict[str, str]) -> None:
    from tidegate.adapters.otlp import send

    settings().need("otlp_endpoint")
    send(made, about={"job": job, **about}, timeout_s=CALL_S)


def _trace(journal: Journal) -> None:
    if told_of(journal).metrics == "otlp":
        TELLER.tell("otlp", lambda: _traced(journal))


def _traced(journal: Journal) -> None:
    from tidegate.adapters.otlp import trace
    from tidegate.core.trace import spans

    settings().need("otlp_endpoint")
    if made := spans(journal, at_s=time.time()):  # a release that never acted has none
        trace(made, about=_about(journal), timeout_s=CALL_S)


def _note(journal: Journal, text: str, kind: str) -> None:
    if told_of(journal).annotations != "grafana":
        return
    at_s, who = time.time(), f"{journal.namespace}/{journal.name}"
    tags = [
        "tidegate",
        journal.name,
        f"namespace:{journal.namespace}",
        f"release:{journal.release_id}",
        kind.lower(),
    ]

    def call() -> None:
        from tidegate.adapters.grafana import annotate

        to = settings()
        said = f"{who} {journal.subject}: {text}"
        annotate(
            to.need("grafana_url"),
            to.grafana_token,
            text=said,
            tags=tags,
            at_s=at_s,
            timeout_s=CALL_S,
        )

    TELLER.tell("grafana", call)
