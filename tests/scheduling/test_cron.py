"""Cron: five fields in, the same moments for Argo and for Kubeflow."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.adapters.cron import checked, coming, kubeflow
from tidegate.errors import UsageError

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("given", "five"),
    [
        ("0 3 * * 0", "0 3 * * 0"),
        ("  */15  8-18 * *   mon-fri ", "*/15 8-18 * * MON-FRI"),
        ("@weekly", "0 0 * * 0"),
        ("0 3 1,17 * *", "0 3 1,17 * *"),
        ("0 3 * JUL 1", "0 3 * JUL 1"),
    ],
)
def test_five_fields_are_kept_and_kubeflow_gets_the_second_before_them(
    given: str, five: str
) -> None:
    assert checked(given) == five
    assert kubeflow(given) == f"0 {five}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("0 0 3 * * 0", "has six fields; write five fields .* the seconds are added for Kubeflow"),
        ("0 3 * *", "is no cron expression; write five fields"),
        ("", "is no cron expression"),
        ("61 3 * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 3 32 * *", "bad day-of-month"),
        ("*/0 3 * * *", "bad minute"),
        ("0 3 * * 7", "'7' is not read by Argo and Kubeflow; write 0 for Sunday"),
        ("0 3 L * *", "'L' is not read by Argo and Kubeflow; name the days"),
        ("0 3 * * 1#2", "'1#2' is not read by Argo"),
        ("0 3 31 2 *", "bad day-of-month|never fires"),
        ("every day", "is no cron expression"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_to_write(given: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked(given)


def test_the_next_moments_are_told_in_the_clock_that_is_asked_for() -> None:
    assert coming("0 3 * * 0", timezone="UTC", now=NOW, count=1)[0].isoformat() == (
        "2026-03-08T03:00:00+00:00"
    )
    berlin = coming("0 3 * * 0", timezone="Europe/Berlin", now=NOW, count=1)[0]
    assert berlin.utcoffset() != NOW.utcoffset()
    with pytest.raises(UsageError, match="timezone 'Berlin' is unknown; write one like"):
        coming("0 3 * * 0", timezone="Berlin", now=NOW)


@given(minute=st.integers(0, 59), hour=st.integers(0, 23), weekday=st.integers(0, 6))
def test_a_weekly_schedule_fires_at_its_own_minute_only(
    minute: int, hour: int, weekday: int
) -> None:
    times = coming(f"{minute} {hour} * * {weekday}", timezone="UTC", now=NOW)
    assert {(t.minute, t.hour, t.isoweekday() % 7) for t in times} == {(minute, hour, weekday)}
