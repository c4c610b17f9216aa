"""Lets perf_analyzer measure one level that we measured too: a second opinion in the report, no judge."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.documents import Arm, CrossCheck, CurvePoint
from tidegate.errors import TidegateError
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.steps.load_sending import Sender

COMMAND, CLIENT, WINDOW_S = "load-test", "perf_analyzer", 5.0


def cross_checked(sender: "Sender", points: Sequence[CurvePoint]) -> CrossCheck | None:
    """Its figures at the level of the highest throughput; None where it is not present."""
    from tidegate.adapters import perf_analyzer

    binary = perf_analyzer.find()
    if binary is None:
        say(COMMAND, "perf_analyzer is not present, so nothing is cross-checked")
        return None
    way = sender.fleets[Arm.CANDIDATE].way
    best = max(points, key=lambda point: point.throughput_rps).concurrency
    try:
        level = perf_analyzer.measure(
            binary,
            model=way.model,
            address=f"{way.to.address}:{way.to.port}",
            protocol=way.protocol,
            host=way.to.host,
            rows=way.rows,
            concurrency=best,
            window_s=WINDOW_S,
            tls=way.to.tls is not None,
        )
    except TidegateError as error:
        say(COMMAND, f"not cross-checked: {error}")
        return CrossCheck(client=CLIENT, concurrency=best, throughput_rps=None, message=str(error))
    return CrossCheck(
        client=CLIENT,
        concurrency=best,
        throughput_rps=level.throughput_rps,
        p50_ms=level.p50_ms,
        p99_ms=level.p99_ms,
    )
