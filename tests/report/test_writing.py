"""Numbers are written so that they can be compared and do not flatter."""

import pytest

from tidegate.report.writing import UNKNOWN, clock, duration, ms, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, UNKNOWN),
        (0, "0"),
        (12000, "12\u202f000"),
        (12345.6, "12\u202f346"),
        (0.01, "0.01"),
        (2.384185791015625e-07, "2.384e-07"),
        (0.99999, "0.99999"),
        (0.9999999999999963, "1"),
        (1234.5, "1234.5"),
        (-3.14159, "-3.142"),
        (1e300, "1e+300"),
    ],
)
def test_a_number_keeps_what_makes_it_differ(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, UNKNOWN), (0.123, "0.12"), (9.891, "9.89"), (42.129, "42.1"), (512.4, "512")],
)
def test_milliseconds_have_the_digits_that_matter(value: float | None, text: str) -> None:
    assert ms(value) == text


def test_moments_are_utc() -> None:
    assert clock(0) == "1970-01-01 00:00:00 UTC"
    assert clock(None) == UNKNOWN


@pytest.mark.parametrize(
    ("value", "text"), [(4.25, "4.2 s"), (99.9, "1 min 40 s"), (415, "6 min 55 s")]
)
def test_long_durations_have_minutes(value: float, text: str) -> None:
    assert duration(value) == text
