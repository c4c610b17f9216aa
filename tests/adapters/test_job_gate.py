"""A Job as a gate, against an API that keeps Jobs and lets them end."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.test_pods import serving
from tidegate.adapters.job_gate import asked
from tidegate.adapters.kubernetes import connect
from tidegate.documents import Word
from tidegate.policy import JobSlo
from tidegate.sandbox.api.kubeconfig import write_kubeconfig

OBJECTIVE = JobSlo(
    kind="job", name="fairness", pod={"containers": [{"name": "check", "image": "i@sha256:1"}]}
)


class Jobs:
    """The Jobs that were made, how they end, and whether they may be made at all."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.ending: dict[str, str] | None = {"type": "Complete", "status": "True"}
        self.exit_code: int | None = None
        self.refusal = 0

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        if self.refusal:
            return self.refusal, {"kind": "Status", "message": "jobs is forbidden"}
        if method == "POST" and body["metadata"]["name"] in self.made:
            return 409, {"kind": "Status", "reason": "AlreadyExists", "message": "already exists"}
        if method == "POST":
            return 201, self.made.setdefault(body["metadata"]["name"], body)
        if name == "pods":
            status = [] if self.exit_code is None else [self._ended()]
            return 200, {
                "items": [{"metadata": {"name": "p"}, "status": {"containerStatuses": status}}]
            }
        return 200, {**self.made[name], "status": {"conditions": [self.ending] * bool(self.ending)}}

    def _ended(self) -> Any:
        return {"name": "check", "state": {"terminated": {"exitCode": self.exit_code}}}


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    held = Jobs()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            code, found = held.answer(self.command, self.path.partition("?")[0], body)
            text = json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Quiet."""

    with serving(Handler) as url:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", url)))
        yield held


def ask(objective: JobSlo = OBJECTIVE) -> tuple[Word, str]:
    with connect() as kube:
        told = {"revision": "m-2", "host": "m-2.test"}
        return asked(kube, objective, told, namespace="prod", release_id="r-1", look_every_s=0.01)


FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
LATE = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}


@pytest.mark.parametrize(
    ("ending", "exit_code", "word", "words"),
    [
        ({"type": "Complete", "status": "True"}, 0, Word.PASS, "exited 0"),
        (FAILED, 1, Word.FAIL, "container check of Job tidegate-gate-"),
        (FAILED, 2, Word.INCONCLUSIVE, "exited 2"),
        (FAILED, 137, Word.INVALID, "exited 137, which is no verdict"),
        (FAILED, None, Word.INVALID, "without an exit code"),
        (LATE, 1, Word.INVALID, "was not done in time"),
    ],
)
def test_the_exit_of_a_job_decides(
    jobs: Jobs, ending: dict[str, str], exit_code: int | None, word: Word, words: str
) -> None:
    jobs.ending, jobs.exit_code = ending, exit_code
    found, why = ask()
    assert (found, words in why) == (word, True), why


def test_a_job_is_told_about_the_candidate_and_has_no_token(jobs: Jobs) -> None:
    ask()
    (made,) = jobs.made.values()
    pod = made["spec"]["template"]["spec"]
    env = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert env == {"TIDEGATE_HOST": "m-2.test", "TIDEGATE_REVISION": "m-2"}
    assert (pod["automountServiceAccountToken"], pod["restartPolicy"]) == (False, "Never")
    assert made["spec"]["backoffLimit"] == 0


def test_a_second_try_of_a_release_waits_for_the_same_job(jobs: Jobs) -> None:
    assert ask()[0] is Word.PASS
    assert ask()[0] is Word.PASS
    assert len(jobs.made) == 1


def test_without_its_own_permission_it_is_invalid_and_says_which(jobs: Jobs) -> None:
    jobs.refusal = 403
    word, why = ask()
    assert word is Word.INVALID
    assert "allow create and get on jobs" in why


def test_a_job_that_never_ends_is_given_up(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.adapters.job_gate.GRACE_S", 0.05)
    jobs.ending = None
    word, why = ask(OBJECTIVE.model_copy(update={"timeout_s": 0.1}))
    assert (word, "has not ended" in why) == (Word.INVALID, True)
