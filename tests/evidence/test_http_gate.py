"""A gate of the user's own: what it is told, and what becomes of each of its answers."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evidence.conftest import free_port
from tidegate.adapters.http_gate import asked
from tidegate.documents import Word
from tidegate.policy import HttpSlo

TOLD = {"subject": "m version 2", "revision": "m-2"}


@contextlib.contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A service that gives these answers in turn, the last one for ever; and what it was sent."""
    sent: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            sent.append((self.headers.get("Authorization", ""), body))
            status, text = answers[min(len(sent), len(answers)) - 1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/gate", sent
    finally:
        server.shutdown()
        server.server_close()


def verdict(word: str, reason: str = "") -> str:
    return json.dumps({"verdict": word, "reason": reason})


def gate(url: str, **fields: float) -> HttpSlo:
    return HttpSlo.model_validate({"kind": "http", "name": "fairness", "url": url} | fields)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://gates.fairness.svc:8443/v1/decisions?x=s", True),
        ("http://127.0.0.1:1/", True),
        ("ftp://gates/", False),
        ("https://gates /decisions", False),
        ("https://user:word@gates/", False),
    ],
)
def test_an_address_is_any_http_url_without_credentials(url: str, taken: bool) -> None:
    with contextlib.nullcontext() if taken else pytest.raises(ValueError, match="url"):
        assert gate(url).url == url


@pytest.mark.parametrize(
    ("status", "text", "word", "words"),
    [
        (200, verdict("PASS", "fair enough"), Word.PASS, "fair enough"),
        (200, verdict("FAIL", "biased"), Word.FAIL, "biased"),
        (200, verdict("INCONCLUSIVE"), Word.INCONCLUSIVE, "says INCONCLUSIVE"),
        (200, verdict("INVALID"), Word.INVALID, "without a verdict"),
        (200, verdict("ok"), Word.INVALID, "it must answer 200"),
        (200, "PASS", Word.INVALID, "without a verdict (PASS)"),
        (200, "[]", Word.INVALID, "without a verdict"),
        (200, '{"verdict": ["PASS"]}', Word.INVALID, "without a verdict"),
        (202, verdict("PASS"), Word.INVALID, "HTTP 202"),
        (500, "boom", Word.INVALID, "HTTP 500 without a verdict (boom)"),
    ],
)
def test_only_a_verdict_in_so_many_words_counts(
    status: int, text: str, word: Word, words: str
) -> None:
    with answering((status, text)) as (url, sent):
        found, why = asked(gate(url), TOLD)
    assert (found, words in why) == (word, True), why
    assert json.loads(sent[0][1]) == TOLD


def test_a_gate_that_cannot_be_asked_is_no_bad_model() -> None:
    word, why = asked(gate(f"http://127.0.0.1:{free_port()}/"), TOLD)
    assert word is Word.INVALID
    assert "cannot be asked" in why


def test_it_is_asked_again_until_it_has_decided_or_time_is_up() -> None:
    with answering((503, "starting"), (200, verdict("INCONCLUSIVE")), (200, verdict("PASS"))) as (
        url,
        sent,
    ):
        assert asked(gate(url, wait_s=20), TOLD, again_s=0.01)[0] is Word.PASS
        assert len(sent) == 3
    with answering((200, verdict("INCONCLUSIVE"))) as (url, sent):
        assert asked(gate(url, wait_s=0.2), TOLD, again_s=0.05)[0] is Word.INCONCLUSIVE
    assert len(sent) > 1


def test_it_gets_the_token_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("TIDEGATE_GATE_TOKEN_FILE", str(tmp_path / "token"))
    with answering((200, verdict("PASS"))) as (url, sent):
        asked(gate(url), TOLD)
        monkeypatch.setenv("TIDEGATE_GATE_TOKEN_FILE", str(tmp_path / "nowhere"))
        word, why = asked(gate(url), TOLD)
    assert [authorization for authorization, _ in sent] == ["Bearer secret"]
    assert word is Word.INVALID
    assert "TIDEGATE_GATE_TOKEN_FILE" in why
