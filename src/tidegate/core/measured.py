"""What was measured while load was sent, and its summary: blocks, arms, and the generator's own fitness."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidegate.core.load_plan import PlannedBlock
from tidegate.documents import Arm, ArmSummary, Block, Generator
from tidegate.policy import Load

MOST_CPU = 0.9  # of one core: the workers of a process share one interpreter
QUEUED_BEHIND = 1.5  # waiting for a connection longer than the server takes is the client's doing


@dataclass(slots=True)
class Sent:
    """One request of a block; latency None = no answer in time."""

    due_s: float
    late_s: float = 0.0  # woken after it was due: the generator's own fault
    waited_s: float = 0.0  # every connection was busy when it was due
    service_s: float = 0.0  # from the actual send; 0 when it was never sent
    latency_s: float | None = None  # from the intended start
    error: str = ""
    wrong: str = ""


@dataclass(slots=True)
class Measured:
    """One block as it was sent."""

    offered: int
    started_s: float
    duration_s: float = 0.0
    cpu_s: float = 0.0  # of every process of the generator together
    busiest_cpu_s: float = 0.0  # of the one that used most
    processes: int = 1
    sent: list[Sent] = field(default_factory=list)
    revisions: Counter[str] = field(default_factory=Counter)

    @property
    def latencies_ms(self) -> tuple[float, ...]:
        """Of the answered requests, in order of their intended start."""
        return tuple(
            round(1000 * one.latency_s, 3) for one in self.sent if one.latency_s is not None
        )

    @property
    def errors(self) -> int:
        """Requests without an answer, or with a refusal."""
        return sum(bool(one.error) for one in self.sent)

    @property
    def unanswered(self) -> int:
        """Once all is sent: the errors, and requests that the generator itself has lost."""
        return self.offered - len(self.latencies_ms)

    @property
    def wrong(self) -> int:
        """Answers that differ from the golden ones."""
        return sum(bool(one.wrong) for one in self.sent)

    @property
    def delivered(self) -> int:
        """Requests that were sent at all."""
        return sum(one.service_s > 0 for one in self.sent)

    @property
    def first_problem(self) -> str:
        """The first thing that went wrong, in words."""
        return next((one.error or one.wrong for one in self.sent if one.error or one.wrong), "")


def merged(parts: Sequence[Measured], *, own_cpu_s: float = 0.0) -> Measured:
    """One block that several processes sent, whose starts count from one instant: every request is there
    once, and the CPU of all is counted, with `own_cpu_s` of the process that led them."""
    revisions: Counter[str] = Counter()
    for part in parts:
        revisions.update(part.revisions)
    return Measured(
        offered=sum(part.offered for part in parts),
        started_s=min(part.started_s for part in parts),
        duration_s=max(part.duration_s for part in parts),
        cpu_s=own_cpu_s + sum(part.cpu_s for part in parts),
        busiest_cpu_s=max(part.busiest_cpu_s for part in parts),
        processes=len(parts),
        sent=sorted((one for part in parts for one in part.sent), key=lambda one: one.due_s),
        revisions=revisions,
    )


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value with at least this share at or below it: an observed one, not interpolated."""
    if not values:
        return None
    return sorted(values)[quantile_index(share, len(values))]


def quantile_index(share: float, values: int) -> int:
    """Where that value stands among so many in order, from 0."""
    return max(0, math.ceil(share * values - 1e-9) - 1)


def block(planned: PlannedBlock, measured: Measured) -> Block:
    """One block as the report keeps it."""
    latencies = measured.latencies_ms
    return Block(
        arm=planned.arm,
        pair=planned.pair,
        started_s=measured.started_s,
        duration_s=measured.duration_s,
        offered=measured.offered,
        delivered=measured.delivered,
        errors=measured.unanswered,
        wrong=measured.wrong,
        p50_ms=quantile(latencies, 0.5),
        p95_ms=quantile(latencies, 0.95),
        p99_ms=quantile(latencies, 0.99),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whom an arm's numbers are about, and the rates they were measured at."""

    arm: Arm
    host: str
    revision: str
    rate_rps: float
    total_rate_rps: float
    replicas: int = 1
    service: str = ""  # its own InferenceService, where it is a dedicated baseline


def arm_summary(place: Place, blocks: Iterable[Measured]) -> ArmSummary:
    """All judged blocks of one arm together."""
    measured = tuple(blocks)
    latencies = tuple(value for one in measured for value in one.latencies_ms)
    seen: Counter[str] = Counter()
    for one in measured:
        seen.update(one.revisions)
    return ArmSummary(
        arm=place.arm,
        host=place.host,
        revision=place.revision,
        service=place.service,
        requests=sum(one.offered for one in measured),
        errors=sum(one.unanswered for one in measured),
        wrong=sum(one.wrong for one in measured),
        rate_rps=place.rate_rps,
        total_rate_rps=place.total_rate_rps,
        replicas=place.replicas,
        p50_ms=quantile(latencies, 0.5),
        p95_ms=quantile(latencies, 0.95),
        p99_ms=quantile(latencies, 0.99),
        max_ms=max(latencies, default=None),
        latencies_ms=latencies,
        revisions_seen=dict(seen),
    )


def generator(blocks: Iterable[Measured], load: Load) -> Generator:
    """Whether the generator was fit to judge: its own lateness, CPU, and what it got sent at all.

    Requests that wait for a connection while the server holds all of them are the server's doing, and
    count in the latency; when they wait longer than the server ever takes, the client has too few.
    """
    measured = tuple(blocks)
    sent = [one for block in measured for one in block.sent]
    lag = 1000 * (quantile([one.late_s for one in sent], 0.99) or 0.0)
    seconds = max(1e-9, sum(b.duration_s for b in measured))
    cpu = sum(b.cpu_s for b in measured) / seconds
    busiest = sum(b.busiest_cpu_s for b in measured) / seconds
    offered = sum(b.offered for b in measured)
    delivered = sum(b.delivered for b in measured) / offered if offered else 1.0
    problems = _problems(lag, busiest, delivered, _client_bound_s(sent, load), load)
    if len(sent) < offered:
        problems.append(f"{offered - len(sent)} of {offered} requests were lost in it")
    return Generator(
        lag_p99_ms=lag,
        cpu_share=cpu,
        delivered_ratio=delivered,
        processes=max((b.processes for b in measured), default=1),
        saturated=bool(problems),
        message="; ".join(problems),
    )


def busy(block: Measured) -> str:
    """Words when a process of the generator had no time left in a closed loop; '' otherwise."""
    share = block.busiest_cpu_s / max(1e-9, block.duration_s)
    return (
        ""
        if share <= MOST_CPU
        else f"a process of it used {share:.0%} of a core; raise load.processes"
    )


def _client_bound_s(sent: Sequence[Sent], load: Load) -> float | None:
    """The p99 wait for a connection when the client's own bound caused it, None otherwise."""
    waited = quantile([one.waited_s for one in sent], 0.99) or 0.0
    service = quantile([one.service_s for one in sent if one.service_s > 0], 0.99) or 0.0
    late = 1000 * waited > load.max_lag_ms and waited > QUEUED_BEHIND * service
    return waited if late else None


def _problems(
    lag: float, cpu: float, delivered: float, bound_s: float | None, load: Load
) -> list[str]:
    problems = []
    if lag > load.max_lag_ms:
        problems.append(f"requests left {lag:.1f} ms late (p99; allowed {load.max_lag_ms:g} ms)")
    if cpu > MOST_CPU:
        problems.append(
            f"a process of it used {cpu:.0%} of a core (allowed {MOST_CPU:.0%}); raise load.processes, or "
            "lower rate_rps"
        )
    if bound_s is not None:
        problems.append(
            f"requests waited {1000 * bound_s:.0f} ms (p99) for one of {load.max_connections} "
            f"connections, longer than the server takes; raise max_connections"
        )
        if delivered < load.min_delivered_ratio:
            problems.append(f"only {delivered:.1%} of the requests were sent at all")
    return problems
