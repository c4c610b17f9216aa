"""Cron expressions of five fields: judged once, in the words that Argo and Kubeflow both read.

Both run robfig/cron, which knows neither `L`, `#` and `W` nor 7 for Sunday; Kubeflow's has the seconds as a
sixth field before the others (kubeflow/pipelines, scheduledworkflow/util/cron_schedule.go).
"""

import re
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidegate.errors import UsageError

FORM = 'five fields "minute hour day month weekday", e.g. "0 3 * * 0" (Sundays at 3:00)'
SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# In a day field: cronsim reads these, robfig/cron does not.
UNREAD = re.compile(r"L|W|#|(?:^|[,-])7")


def checked(expression: str) -> str:
    """The five fields with single blanks between. Raises UsageError with what is wrong."""
    text = " ".join(expression.upper().split())
    text = SHORT.get(text.lower(), text)
    fields = text.split(" ")
    if len(fields) == 6:
        raise UsageError(
            f"cron {expression!r} has six fields; write {FORM}: the seconds are added for Kubeflow"
        )
    if len(fields) != 5:
        raise UsageError(f"cron {expression!r} is no cron expression; write {FORM}")
    _judge(expression, text, fields)
    return text


def _judge(expression: str, text: str, fields: list[str]) -> None:
    month_free = [fields[2], re.sub(r"[A-Z]{3}", "", fields[4])]
    for field in month_free:
        if found := UNREAD.search(field):
            advice = "write 0 for Sunday" if "7" in found[0] else "name the days instead"
            raise UsageError(
                f"cron {expression!r}: {field!r} is not read by Argo and Kubeflow; {advice}"
            )
    _times(text, expression, datetime.now(UTC))


def kubeflow(expression: str) -> str:
    """The same moments in Kubeflow's six fields: second 0, then the five."""
    return f"0 {checked(expression)}"


def coming(expression: str, *, timezone: str, now: datetime, count: int = 3) -> list[datetime]:
    """The next moments at which it fires. Raises UsageError for an unknown zone, or when it never does."""
    text = checked(expression)
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(
            f"timezone {timezone!r} is unknown; write one like Europe/Berlin"
        ) from error
    return _times(text, expression, now.astimezone(zone), count)


def _times(text: str, expression: str, now: datetime, count: int = 1) -> list[datetime]:
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise UsageError("cronsim is not installed; pip install 'tidegate[schedule]'") from error
    try:
        found = list(islice(CronSim(text, now), count))
    except CronSimError as error:
        raise UsageError(f"cron {expression!r}: {str(error).lower()}; write {FORM}") from error
    if not found:
        raise UsageError(f"cron {expression!r} never fires; correct its day and month")
    return found
