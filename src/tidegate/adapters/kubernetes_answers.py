"""What an answer of the Kubernetes API says about asking again: how soon, and whether it is out of date."""

from tenacity import RetryCallState, wait_random_exponential

_random = wait_random_exponential(multiplier=0.2, max=3)


def backoff(state: RetryCallState) -> float:
    """A random wait that grows; at least what the API asked for."""
    return max(_random(state), _retry_after(state.outcome.exception() if state.outcome else None))


def _retry_after(error: BaseException | None) -> float:
    headers = getattr(error.__cause__ if error else None, "headers", None) or {}
    asked = str(headers.get("Retry-After", ""))
    return float(asked) if asked.isdecimal() else 0.0


def is_older(version: str, since: str) -> bool:
    """One resourceVersion was given before another; what cannot be compared is not called older.

    They are integers of one sequence on every server that keeps its objects in etcd.
    """
    return version.isdecimal() and since.isdecimal() and int(version) < int(since)


def why(state: RetryCallState) -> str:
    """What went wrong at the last try."""
    return str(state.outcome.exception()) if state.outcome else ""
