"""One JSON message to a webhook, which may be slow, gone, or not of this world."""

from typing import Any
from urllib.parse import urlsplit

import httpx

from tidegate.errors import RejectedError, UnavailableError, UsageError


def post(url: str, body: dict[str, Any], *, timeout_s: float) -> None:
    """POST once. Errors name the host alone: the rest of a webhook's URL is often its secret."""
    try:
        host = urlsplit(url).hostname or "no host"
    except ValueError as error:
        raise UsageError("report.webhook_url is no URL; correct the policy") from error
    try:
        response = httpx.post(url, json=body, timeout=timeout_s)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = type(error).__name__
        raise UnavailableError(
            f"the webhook at {host} was not reached ({said}); check report.webhook_url"
        ) from error
    if not response.is_success:
        raise RejectedError(
            f"the webhook at {host} answered {response.status_code}; check report.webhook_url"
        )
