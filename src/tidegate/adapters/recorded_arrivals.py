"""Reads when requests arrived in production: a text file with one number a line, or the policy itself."""

from pathlib import Path

from tidegate.core.recording import intervals
from tidegate.errors import DocumentError
from tidegate.policy import Recording

MOST = 1_000_000


def read(recording: Recording | None, tree: Path) -> tuple[float, ...]:
    """Seconds between arrivals; () without a recording. Raises DocumentError that names the line."""
    if recording is None:
        return ()
    if recording.intervals_ms:
        what = "load.recording.intervals_ms"
        return intervals(recording.intervals_ms, kind="intervals", unit="ms", what=what)
    what = f"load.recording.file {recording.file}"
    try:
        with (tree / recording.file).open(encoding="utf-8") as lines:
            values = [
                _number(line, n, what) for n, line in zip(range(1, MOST + 1), lines, strict=False)
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(
            f"{what} cannot be read ({error}); put it into the model version"
        ) from error
    return intervals(values, kind=recording.kind, unit=recording.unit, what=what)


def _number(line: str, number: int, what: str) -> float:
    try:
        return float(line)
    except ValueError as error:
        raise DocumentError(
            f"{what} line {number}: {line.strip()[:40]!r} is no number; write one arrival a line"
        ) from error
