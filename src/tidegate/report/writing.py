"""How numbers and moments are written on the page."""

import json
from datetime import UTC, datetime
from typing import Any

UNKNOWN = "\N{EN DASH}"


def json_of(value: Any) -> str:
    """Back to the JSON text it came from."""
    return json.dumps(value, allow_nan=False)


def number(value: float | None) -> str:
    """Counts with thin spaces, else four significant digits; what is nearly 1 is not written as 1."""
    if value is None:
        return UNKNOWN
    if float(value).is_integer() or abs(value) >= 1e4:
        return f"{value:,.0f}".replace(",", "\u202f") if abs(value) < 1e15 else f"{value:g}"
    texts = (f"{value:.{digits}g}" for digits in range(4, 8))
    return next((text for text in texts if not float(text).is_integer()), f"{value:g}")


def ms(value: float | None) -> str:
    """Milliseconds: two decimals below ten, one below a hundred."""
    if value is None:
        return UNKNOWN
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def clock(unix_s: float | None) -> str:
    """UTC, to the second."""
    if unix_s is None:
        return UNKNOWN
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Seconds, or minutes once there are some."""
    whole = round(seconds)
    return f"{seconds:.1f} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


def percent(share: float) -> str:
    """A share as a percentage, to two decimals at most."""
    return f"{round(100 * share, 2):g} %"
