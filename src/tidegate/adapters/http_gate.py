"""A gate that is a service of the user's own: told about the candidate by POST, it answers with a verdict."""

import time
from pathlib import Path
from typing import Any

import httpx

from tidegate.config import VARIABLES, settings
from tidegate.documents import Word
from tidegate.policy import HttpSlo

SAID = {word.value: word for word in (Word.PASS, Word.FAIL, Word.INCONCLUSIVE)}
AGAIN_S = 2.0


def asked(
    objective: HttpSlo, told: dict[str, str], *, again_s: float = AGAIN_S
) -> tuple[Word, str]:
    """The verdict and why; INVALID for whatever is none. Never raises for what the service does.

    It is asked again until `wait_s` is over while it is INCONCLUSIVE or cannot answer.
    """
    ends = time.monotonic() + objective.wait_s
    while True:
        word, why = _once(objective, told)
        if word in (Word.PASS, Word.FAIL) or time.monotonic() + again_s > ends:
            return word, why
        time.sleep(again_s)


def _once(objective: HttpSlo, told: dict[str, str]) -> tuple[Word, str]:
    try:
        headers = _headers()
        answer = httpx.post(
            objective.url,
            json=told,
            headers=headers,
            timeout=objective.timeout_s,
            verify=objective.url.startswith("https:"),
        )
    except OSError as error:
        path = settings().gate_token_file
        name = VARIABLES["gate_token_file"]
        return Word.INVALID, f"{name} = {path!r} cannot be read ({error.strerror}); correct it"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Word.INVALID, f"{objective.url} cannot be asked ({type(error).__name__}: {error})"
    return _verdict(answer, objective.url)


def _headers() -> dict[str, str]:
    path = settings().gate_token_file
    return {"Authorization": f"Bearer {Path(path).read_text().strip()}"} if path else {}


def _verdict(answer: httpx.Response, url: str) -> tuple[Word, str]:
    try:
        body: Any = answer.json()
    except ValueError:
        body = None
    said = body.get("verdict") if isinstance(body, dict) else None
    if answer.status_code != 200 or not isinstance(said, str) or said not in SAID:
        words = " ".join(answer.text[:200].split())
        return Word.INVALID, (
            f"{url} answered HTTP {answer.status_code} without a verdict ({words}); "
            'it must answer 200 and {"verdict": "PASS", "FAIL" or "INCONCLUSIVE", "reason": ...}'
        )
    return SAID[said], str(body.get("reason", "")) or f"{url} says {said}"
