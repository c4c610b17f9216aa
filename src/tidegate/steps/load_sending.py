"""Sends what a load test has planned: warm-up until its trend is flat, blocks in turn, then the curve."""

import contextlib
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from tidegate.core import curve, measured, warm_up
from tidegate.core.load_plan import WINDOWS, PlannedBlock
from tidegate.core.measured import Measured
from tidegate.documents import Arm, CurvePoint, Deployment, Finding, Word
from tidegate.policy import Load, Policy
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.fleet import Fleet
    from tidegate.adapters.load import Schedule

COMMAND = "load-test"
PROGRESS_S = 4.0


@dataclass(slots=True, kw_only=True)
class Sender:
    """The fleets of both arms, and what was sent with them so far; `stop` ends all sending at once."""

    policy: Policy
    release_id: str
    fleets: "Mapping[Arm, Fleet]"
    stop: Event
    recorded: tuple[float, ...] = ()
    sent: dict[Arm, int] = field(default_factory=dict)
    numbers: int = 0

    @property
    def load(self) -> Load:
        """The policy's section."""
        return self.policy.load

    def block(self, planned: PlannedBlock, name: str = "") -> Measured:
        """One block, in the open loop."""
        from tidegate.adapters.load import Schedule

        schedule = Schedule(starts=self._starts(planned))
        self.numbers += 1
        return self._send(planned.arm, schedule, name)

    def _starts(self, planned: PlannedBlock) -> tuple[float, ...]:
        from tidegate.adapters.load import arrivals
        from tidegate.core.recording import stretch

        if self.load.arrivals == "recorded":
            first = planned.pair * self.load.block_requests
            return stretch(
                self.recorded,
                first=first,
                requests=planned.requests,
                duration_s=planned.duration_s,
            )
        return arrivals(
            self.load.arrivals,
            requests=planned.requests,
            duration_s=planned.duration_s,
            seed=zlib.crc32(f"{self.release_id}/{self.numbers}".encode()),
        )

    def _send(self, arm: Arm, schedule: "Schedule", name: str) -> Measured:
        def watch(running: Measured) -> None:
            if name:
                say(COMMAND, line(name, running))

        found = self.fleets[arm].send(schedule, watch, watch_every_s=PROGRESS_S)
        self.sent[arm] = self.sent.get(arm, 0) + found.delivered
        if name:
            say(COMMAND, line(name, found))
        return found

    def warmed_up(self, window: PlannedBlock) -> Finding | None:
        """Send windows to one arm until their trend is flat; the finding when it is not in time."""
        begun, most = time.monotonic(), max(self.load.max_warmup_s, self.load.warmup_s)
        windows: list[float | None] = []
        flat = False
        say(COMMAND, f"warming up the {window.arm} until its latency shows no trend")
        while not (flat or self.stop.is_set()):
            windows += warm_up.windows_ms([self.block(window)])
            flat = warm_up.is_flat(windows)
            passed = time.monotonic() - begun
            silent = not any(windows[-WINDOWS:])
            if len(windows) >= WINDOWS and (passed >= most or silent):
                break
        words = f"{window.arm}: {warm_up.told(windows, time.monotonic() - begun, flat=flat)}"
        say(COMMAND, words)
        if flat or self.stop.is_set():
            return None
        return Finding(name=f"{window.arm} warm-up", word=Word.INCONCLUSIVE, message=f"{words}; "
                       "raise load.max_warmup_s, or find out what keeps changing")  # fmt: skip

    def curve(self, limit: curve.Limit) -> tuple[tuple[CurvePoint, ...], str, bool]:
        """Closed-loop levels until one ends them: the points, why they ended, and whether the generator was
        the bottleneck of the last one."""
        from tidegate.adapters.load import Schedule

        wanted = self.load.curve
        points: list[CurvePoint] = []
        if wanted is None:
            return (), "", False
        most = max(1, round(self.load.max_rate_rps * wanted.max_step_s))
        starts = tuple(n / self.load.max_rate_rps for n in range(most))
        for concurrency in wanted.concurrencies:
            schedule = Schedule(
                starts=starts,
                closed=True,
                workers=concurrency,
                least_s=wanted.step_s,
                least_requests=wanted.requests,
                most_s=wanted.max_step_s,
            )
            level = self._send(Arm.CANDIDATE, schedule, f"{concurrency} in flight")
            if self.stop.is_set():
                return tuple(points), "the load was stopped", False
            if words := measured.busy(level):
                return (
                    tuple(points),
                    f"at {concurrency} in flight the generator was the bottleneck: {words}",
                    True,
                )
            points.append(curve.point(concurrency, level, limit))
            if words := curve.ends(points) or self._ceiling(points[-1]):
                return tuple(points), words, False
        return tuple(points), "", False

    def _ceiling(self, last: CurvePoint) -> str:
        if last.throughput_rps < 0.95 * self.load.max_rate_rps:
            return ""
        return f"max_rate_rps {self.load.max_rate_rps:g} is reached"


def line(name: str, running: Measured) -> str:
    """How far a block has come."""
    latencies = running.latencies_ms
    shown = ", ".join(
        f"p{share * 100:g} {value:.1f} ms"
        for share in (0.5, 0.95, 0.99)
        if (value := measured.quantile(latencies, share)) is not None
    )
    text = f"block {name}: {len(running.sent)}/{running.offered} requests, {shown or 'no answer'}"
    if running.errors or running.wrong:
        text += f", {running.errors} failed, {running.wrong} wrong ({running.first_problem})"
    return text


@contextlib.contextmanager
def sending(
    deployed: Deployment, policy: Policy, release_id: str, golden: Path, *, compared: bool
) -> Iterator[Sender]:
    """A sender whose processes and connections are gone afterwards. Raises DocumentError or UsageError."""
    from tidegate.adapters import lanes, recorded_arrivals
    from tidegate.adapters.fleet import Fleet

    stop, many = Event(), policy.load.processes
    ways = {Arm.CANDIDATE: lanes.candidate_way(deployed, policy, golden=golden)}
    if compared:
        ways[Arm.BASELINE] = lanes.baseline_way(deployed, policy, golden=golden)
    with contextlib.ExitStack() as stack:
        yield Sender(
            policy=policy,
            release_id=release_id,
            fleets={
                arm: stack.enter_context(Fleet(way=way, processes=many, stop=stop))
                for arm, way in ways.items()
            },
            stop=stop,
            recorded=recorded_arrivals.read(policy.load.recording, golden.parent),
        )
