"""Notes on Grafana's time axis, by its HTTP API (POST /api/annotations, Grafana 7 and newer)."""

from collections.abc import Sequence

import httpx

from tidegate.errors import RejectedError, UnavailableError


def annotate(
    url: str, token: str, *, text: str, tags: Sequence[str], at_s: float, timeout_s: float
) -> None:
    """One note of all dashboards at Unix time `at_s`, found by its tags. Raises TidegateError."""
    body = {"time": round(at_s * 1000), "tags": list(tags), "text": text}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    to = f"{url.rstrip('/')}/api/annotations"
    try:
        answer = httpx.post(to, json=body, headers=headers, timeout=timeout_s)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = type(error).__name__
        raise UnavailableError(
            f"Grafana was not reached ({said}); check TIDEGATE_GRAFANA_URL"
        ) from error
    if not answer.is_success:
        raise RejectedError(
            f"Grafana answered {answer.status_code} to a note; check TIDEGATE_GRAFANA_TOKEN"
        )
