"""What was measured: both arms, the candidate's curve, the generator itself, and parity."""

from typing import Any

from tidegate.documents import (
    ArmSummary,
    CrossCheck,
    CurvePoint,
    LoadReport,
    OutputParity,
    Parity,
    Report,
)
from tidegate.report.tables import MOST_OF_A_NAME, Table, badge, columns, distilled, short
from tidegate.report.writing import clock, ms, number, percent

ARM_FIGURES = ("requests", "rate_rps", "total_rate_rps")
KEEPS = {True: "keeps the limit", False: "does not", None: "not known"}


def arms_of(report: Report) -> list[ArmSummary]:
    """Candidate and, where there is one, baseline."""
    return [a for a in (report.load.candidate, report.load.baseline) if a] if report.load else []


def arms_table(arms: list[ArmSummary]) -> Table:
    """One row each."""
    return Table(
        caption="Candidate and baseline",
        columns=columns(
            "!Arm", "Revision", "#Requests", "#Rate /s", "#Total /s per replica", "#p50 ms", "#p95 ms",
            "#p99 ms", "#Max ms", "#Errors", "#Wrong",
        ),
        rows=[_arm(arm) for arm in arms],
    )  # fmt: skip


def _arm(arm: ArmSummary) -> tuple[Any, ...]:
    from markupsafe import Markup

    key = Markup('<span class="key {}" aria-hidden="true"></span>{}').format(
        arm.arm.value, arm.arm.value
    )
    times = (ms(value) for value in (arm.p50_ms, arm.p95_ms, arm.p99_ms, arm.max_ms))
    figures = (number(getattr(arm, name)) for name in ARM_FIGURES)
    revision = f"{arm.revision} (dedicated baseline)" if arm.service else arm.revision
    return (key, revision, *figures, *times, number(arm.errors), number(arm.wrong))


def curve_table(load: LoadReport) -> Table | None:
    """The levels of the curve."""
    points, more = distilled(load.curve, "levels")
    if not points:
        return None
    return Table(
        caption="Throughput and latency of the candidate",
        columns=columns(
            "#In flight", "#Good answers /s", "#Requests", "#Errors", "#Wrong", "#p50 ms", "#p95 ms",
            "#p99 ms", "!The limit",
        ),
        rows=[_point(point) for point in points],
        more=more,
    )  # fmt: skip


def _point(point: CurvePoint) -> tuple[Any, ...]:
    counts = (number(point.requests), number(point.errors), number(point.wrong))
    times = (ms(point.p50_ms), ms(point.p95_ms), ms(point.p99_ms))
    rate = number(round(point.throughput_rps, 1))
    return (number(point.concurrency), rate, *counts, *times, KEEPS[point.keeps_limit])


def conditions(load: LoadReport) -> list[tuple[str, str]]:
    """Under which the two can be compared, and whether the generator was fit to judge."""
    generator = load.generator
    said = f"; {generator.message}" if generator.message else ""
    fitness = (
        f"{'SATURATED' if generator.saturated else 'fit'}: lateness p99 {ms(generator.lag_p99_ms)} ms, "
        f"CPU {percent(generator.cpu_share)}, delivered {percent(generator.delivered_ratio)}{said}"
    )
    rows = [
        ("Fairness", f"{'fair' if load.fair else 'NOT FAIR'}: {load.fairness}"),
        ("Baseline", _dedicated(load)),
        ("Load generator", fitness),
        ("Protocol", f"{load.protocol}, {len(load.blocks)} blocks"),
        ("Time", f"{clock(load.started_s)} to {clock(load.ended_s)}"),
        ("Reduced evidence", load.reduced),
    ]
    rows += [("Capacity", load.capacity.message)] if load.capacity else []
    rows += [("Cross-check", _cross_checked(load.cross_check))] if load.cross_check else []
    return [(name, value) for name, value in rows if value]


def _dedicated(load: LoadReport) -> str:
    """Which InferenceService was made for the comparison; '' when it was the incumbent itself."""
    arm = load.baseline
    if arm is None or not arm.service:
        return ""
    pods = f"{arm.replicas} pod" + "s" * (arm.replicas > 1)
    return (
        f"dedicated: {arm.service}, a fresh copy of the incumbent without production traffic "
        f"(revision {arm.revision}, {pods}), removed once the gate had spoken"
    )


def _cross_checked(other: CrossCheck) -> str:
    """What another client measured; it judges nothing."""
    if other.throughput_rps is None:
        return f"{other.client} measured nothing: {other.message}"
    times = f"p50 {ms(other.p50_ms)} ms, p99 {ms(other.p99_ms)} ms"
    rate = f"{number(round(other.throughput_rps, 1))} /s at {other.concurrency} in flight"
    return f"{other.client}: {rate}, {times}; it judges nothing"


def parity_table(parity: Parity) -> Table:
    """One row for each output, the bad ones first."""
    ordered = sorted((*parity.outputs, *parity.checks), key=lambda output: output.word == "PASS")
    outputs, more = distilled(ordered, "outputs")
    return Table(
        caption="Parity with the source model",
        columns=columns(
            "!Word", "*Output", "#Compared", "#Abs. error", "#Rel. error", "#Mismatch", "#Cosine",
            "#Agreement", "#at least",
        ),
        rows=[_output(output) for output in outputs],
        more=more,
    )  # fmt: skip


def _output(output: OutputParity) -> tuple[Any, ...]:
    from markupsafe import Markup

    named = Markup('<b>{}</b><br><span class="soft">{}</span>')
    figures = (
        "max_abs_error",
        "max_rel_error",
        "mismatch_ratio",
        "cosine",
        "agreement",
        "agreement_lower",
    )
    return (
        badge(output.word),
        named.format(short(output.output, most=MOST_OF_A_NAME), short(output.message)),
        number(output.compared),
        *(number(getattr(output, name)) for name in figures),
    )
