"""The drawings, run: the compiled IR by kfp's runner, the Argo YAML by ours in its two ways.

One story for each; `make test-flows`. The shortest part of it is in tests/e2e/test_release.py.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import POLICY, Home
from tests.e2e.test_release import Production, alias, journal, shares, source_of

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(240)]
RUNNERS = ("in-process", "kfp", "argo")
LOAD_TEST = {"load-test", "load_test"}
every = pytest.mark.parametrize("runner", RUNNERS)


def release(
    home: Home, runner: str, uri: str, policy: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    return home.tidegate(
        "release", str(policy or home.policy), "--runner", runner, "--model-uri", uri
    )


def report(home: Home) -> dict[str, Any]:
    """The document of the newest run."""
    newest = max((home.folder / ".tidegate/runs").iterdir(), key=lambda path: path.stat().st_mtime)
    path = next(newest.glob("artifacts/*/report/**/report_document"))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module", autouse=True)
def live(home: Home) -> None:
    done = release(home, "argo", "models:/tiny/1")
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr


@every
def test_wrong_answers_are_rejected_before_the_cluster(home: Home, runner: str) -> None:
    before = shares(home)
    done = release(home, runner, "models:/tiny/3")
    assert (done.returncode, done.stdout.strip()) == (7, "REJECTED"), done.stderr
    assert shares(home) == before


def other(home: Home) -> str:
    """The sound version that does not serve."""
    return f"models:/tiny/{3 - int(alias(home))}"


@every
@pytest.mark.parametrize(
    ("verb", "code", "word"), [("reject-approval", 7, "ROLLED_BACK"), ("approve", 0, "PROMOTED")]
)
def test_a_person_decides_where_the_policy_asks_for_one(
    home: Home, variant: Callable[..., Path], runner: str, verb: str, code: int, word: str
) -> None:
    asking = {"approval": "manual", "approval_timeout_s": 90}
    manual = variant(traffic={**POLICY["traffic"], **asking})  # type: ignore[dict-item]
    before, target = shares(home), other(home)
    done: list[subprocess.CompletedProcess[str]] = []
    run = threading.Thread(target=lambda: done.append(release(home, runner, target, manual)))
    with Production(home) as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        run.start()
        until_asked(home)
        assert shares(home) == before
        assert home.tidegate(verb, "tiny", "--reason", "it's me").returncode == 0
        run.join()
    assert (done[0].returncode, done[0].stdout.strip()) == (code, word), done[0].stderr
    assert production.failures == []
    findings = {one["name"]: one["message"] for one in report(home)["verdict"]["findings"]}
    assert "it's me" in findings["approval"]
    promoted = word == "PROMOTED"
    assert (f"models:/tiny/{alias(home)}" == target) is promoted


def until_asked(home: Home) -> None:
    """Until the journal says STAGED; a word counts once the gate has said PASS."""
    deadline = time.monotonic() + 150
    while "STAGED" not in home.tidegate("status", "tiny").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@every
def test_a_step_that_is_killed_is_taken_over_by_the_exit_handler(home: Home, runner: str) -> None:
    before, serving = shares(home), alias(home)
    command = [sys.executable, "-m", "tidegate", "release", str(home.policy), "--runner", runner]
    with subprocess.Popen(
        [*command, "--model-uri", other(home)], env=home.environment, cwd=home.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stderr is not None
        assert child.stdout is not None
        for line in child.stderr:
            if "load-test" in line and "pair" in line:
                kill_step(child.pid, runner)
                break
        rest, word = child.stderr.read(), child.stdout.read().strip()
    assert (child.returncode != 0, word) == (True, "DIED"), rest
    assert "guard" in rest
    assert journal(home)["outcome"] == "DIED"
    assert list(shares(home).values()) == [100]
    assert {source_of(name).split("/tiny/")[1][0] for name in shares(home)} == {serving}
    assert len(before) == 1


def kill_step(pid: int, runner: str) -> None:
    """SIGKILL for the one process that runs the load test, as when its node dies.

    In process that is the process of all steps.
    """
    wanted = {"tidegate.orchestrators.in_process"} if runner == "in-process" else LOAD_TEST
    (step,) = [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if wanted & set(child.cmdline()) and not child.children()
    ]
    step.kill()
