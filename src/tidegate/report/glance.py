"""The few numbers that a reader looks for first."""

from dataclasses import dataclass

from tidegate.documents import ArmSummary, Report
from tidegate.policy import LatencySlo, Policy
from tidegate.report.writing import duration, ms, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number, what it is, and what it is to be compared with."""

    label: str
    value: str
    beside: str = ""


def tiles(report: Report, policy: Policy | None) -> list[Tile]:
    """What is known, in this order."""
    found = [
        *_latencies(report, policy),
        _bad(report),
        _capacity(report),
        _parity(report),
        _took(report),
    ]
    return [tile for tile in found if tile is not None]


def _latencies(report: Report, policy: Policy | None) -> list[Tile | None]:
    if report.load is None:
        return []
    candidate, baseline = report.load.candidate, report.load.baseline
    return [
        _tile("p50", candidate.p50_ms, _against(candidate, baseline, "p50_ms")),
        _tile("p99", candidate.p99_ms, _limit(policy) or _against(candidate, baseline, "p99_ms")),
    ]


def _tile(name: str, value: float | None, beside: str) -> Tile | None:
    return (
        None
        if value is None
        else Tile(label=f"{name}, load test", value=f"{ms(value)} ms", beside=beside)
    )


def _against(candidate: ArmSummary, baseline: ArmSummary | None, name: str) -> str:
    theirs, mine = getattr(baseline, name, None), getattr(candidate, name)
    if not theirs or mine is None:
        return ""
    return f"{mine / theirs:.2f}x the incumbent's {ms(theirs)} ms"


def _limit(policy: Policy | None) -> str:
    objectives = policy.slo.objectives if policy else ()
    limits = [o.limit_ms for o in objectives if isinstance(o, LatencySlo) and o.quantile == 0.99]
    return f"allowed {min(limits):g} ms" if limits else ""


def _bad(report: Report) -> Tile | None:
    if report.load is None:
        return None
    arm = report.load.candidate
    return Tile(
        label="failed or wrong",
        value=number(arm.errors + arm.wrong),
        beside=f"of {number(arm.requests)} requests",
    )


def _capacity(report: Report) -> Tile | None:
    found = report.load.capacity if report.load else None
    if found is None or found.rate_rps is None:
        return None
    at_least = "at least " if found.is_lower_bound else ""
    limit = (
        "the knee"
        if found.limit_ms is None
        else f"p{found.quantile * 100:g} ≤ {found.limit_ms:g} ms"
    )
    return Tile(
        label="capacity",
        value=f"{at_least}{number(round(found.rate_rps, 1))} /s",
        beside=f"at {limit}",
    )


def _parity(report: Report) -> Tile | None:
    if report.parity is None:
        return None
    return Tile(
        label="parity",
        value=report.parity.word.value,
        beside=f"on {number(report.parity.rows)} golden rows",
    )


def _took(report: Report) -> Tile | None:
    if "traffic" not in report.seconds:
        return None
    return Tile(label="first act to last", value=duration(report.seconds["traffic"]))
