"""The frontier of a search is what no other place beats, and its drawing stands alone."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from tests.core.tuning.surface import SPACE, Surface
from tidegate.documents import CurvePoint, Tuning
from tidegate.report.plots.tuning import frontier, tuning_frontier

SURFACE = Surface(fixed_ms=1, row_ms=0.2, cores=2, saved=0.2, limit_ms=30)
SETTING = SPACE.settings()[0]


def at(rps: float, p99_ms: float) -> CurvePoint:
    level = SURFACE.level(SETTING, 1)
    return level.model_copy(update={"throughput_rps": rps, "p99_ms": p99_ms})


@given(st.lists(st.tuples(st.floats(1, 1e4), st.floats(0.1, 1e3)), min_size=1, max_size=20))
def test_nothing_beats_what_is_on_the_frontier_and_everything_else_is_beaten(
    places: list[tuple[float, float]],
) -> None:
    kept = frontier([(at(*place), SETTING) for place in places])
    edge = {(point.throughput_rps, point.p99_ms) for point, _ in kept}
    for rps, p99_ms in places:
        as_good = [
            (x, y) for x, y in places if x >= rps and y <= p99_ms and (x, y) != (rps, p99_ms)
        ]
        assert ((rps, p99_ms) in edge) is not bool(as_good)


def test_the_drawing_is_a_file_of_its_own_in_plain_colours() -> None:
    trials = tuple(SURFACE.trial(one) for one in SPACE.settings()[::7])
    winner = max(trials, key=lambda trial: trial.rps)
    found = Tuning(
        model="m", server="2.51.0", limit_quantile=0.99, limit_ms=30, max_error_share=0.01,
        space=SPACE.settings(), budget=19, measured=len(trials), start=trials[0].setting,
        trials=trials, pruned={}, winner=winner.setting, confirmed=winner, reason="found",
    )  # fmt: skip
    text = tuning_frontier(found)
    assert "var(" not in text
    words = "".join(ET.fromstring(text).itertext())
    for said in ("SLO: p99 within 30 ms", "winner, on fresh data", str(winner.setting)):
        assert said in words
