"""One JSON message to a webhook, which may be slow, gone, or not of this world."""

from typing import Any
from urllib.parse import urlsplit

import httpx

from tidegate.errors import RejectedError, UnavailableError, UsageError


def post(url: str, body: dict[str, Any], *, timeout_s: float) -> None:
    """POST once, and read no more of the answer than its status; no redirect is followed.

    Errors name the host alone: the rest of a webhook's URL is often its secret.
    """
    try:
        host = urlsplit(url).hostname or "no host"
    except ValueError as error:
        raise UsageError("report.webhook_url is no URL; correct the policy") from error
    try:
        with httpx.stream("POST", url, json=body, timeout=timeout_s) as response:
            status, is_success = response.status_code, response.is_success
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = type(error).__name__
        raise UnavailableError(
            f"the webhook at {host} was not reached ({said}); check report.webhook_url"
        ) from error
    if not is_success:
        raise RejectedError(f"the webhook at {host} answered {status}; check report.webhook_url")
