"""configure starts the real Triton on what it wrote: what does not load, or answers otherwise, is refused."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.steps.model.networks import convolutions, images
from tidegate.adapters import trees, tritonserver
from tidegate.errors import RejectedError, UsageError

SERVER = shlex.join([sys.executable, "-m", "tidegate.sandbox.tritonserver"])


@pytest.fixture
def optimized(release: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A release up to its optimize, with a server at hand."""
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", SERVER)
    tree = release.onnx_tree(convolutions())
    release.golden(tree, {"X": images(64, seed=1)})
    release.fetched("onnx")
    assert release.run("optimize")["verdict"] == "PASS"
    return release


def finding(release: Any) -> dict[str, Any]:
    findings = release.document("repository_document")["findings"]
    found: dict[str, Any] = next(f for f in findings if f["name"] == "load and query")
    return found


@pytest.mark.real
def test_a_repository_that_answers_as_its_source_passes(optimized: Any) -> None:
    assert optimized.run("configure")["verdict"] == "PASS"
    message = finding(optimized)["message"]
    assert message.startswith(
        "Triton 2.51.0, wanted for 2.51: 64 golden rows answered as by the source"
    )
    assert message.endswith("config served as written")


@pytest.mark.real
def test_whatever_a_policy_says_of_queues_instances_and_labels_is_served_as_written(
    optimized: Any,
) -> None:
    optimized.policy["triton"] = {
        "instance_groups": [{"count": 2, "rate_limit": {"priority": 2}}, {"kind": "KIND_AUTO"}],
        "preferred_batch_sizes": [4, 8],
        "queue": {"max_size": 99, "timeout_us": 10**7, "on_timeout": "DELAY", "allow_override": True},
        "priority_levels": 2, "default_priority": 2, "priority_queues": {"1": {"max_size": 9}},
        "metric_tags": {"team": "vision"}, "response_cache": True,
        "labels": [f"digit {n}" for n in range(10)],
        "config": "version_policy { all { } }",
    }  # fmt: skip
    optimized.policy["serving"] = {
        "args": ["--rate-limit=execution_count", "--cache-config=local,size=1048576"]
    }
    result = optimized.run("configure")
    assert result["verdict"] == "PASS", result["reason"]
    assert finding(optimized)["word"] == "PASS"
    labels = optimized.path("repository") / "digits" / "labels.txt"
    assert labels.read_text().splitlines()[9] == "digit 9"


@pytest.mark.real
def test_one_that_does_not_load_is_refused_with_the_servers_reason(optimized: Any) -> None:
    optimized.policy["triton"] = {"config": "optimization { graph { level: 7 } }"}
    result = optimized.run("configure")
    assert result["verdict"] == "FAIL"
    assert "Triton does not load digits: " in result["reason"]
    assert "optimization.graph.level 7: use -1, 0, 1 or 2" in result["reason"]
    assert list(optimized.path("repository").iterdir()) == []


@pytest.mark.real
def test_one_that_the_server_cannot_even_poll_is_refused_at_once_with_what_its_log_says(
    optimized: Any,
) -> None:
    optimized.policy["triton"] = {
        "response_cache": True, "config": "model_transaction_policy { decoupled: true }",
    }  # fmt: skip
    optimized.policy["serving"] = {"args": ["--cache-config=local,size=1048576"]}
    result = optimized.run("configure")
    assert result["verdict"] == "FAIL"
    assert result["reason"] == (
        "load and query: Triton does not load digits: Response Cache does not currently support model "
        "digits with 'decoupled' transaction policy. Please disable the response cache."
    )


def change_golden(release: Any, change: Any) -> None:
    """Another truth than the one that optimize wrote, and a document that agrees with it."""
    folder = release.path("optimized_model")
    with np.load(folder / "golden.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["output.scores"] = change(arrays["output.scores"])
    np.savez(folder / "golden.npz", **arrays)
    document = release.document("optimized")
    document["tree_digest"] = trees.digest_of(trees.files_of(folder))
    release.path("optimized").write_text(json.dumps(document))


def sixth_row_higher(scores: Any) -> Any:
    scores[5] += 1
    return scores


@pytest.mark.real
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (sixth_row_higher, "1 of 64 rows differ (rows 5)"),
        (
            lambda scores: scores[:, :5],
            "output scores is of shape (64, 10), the reference has (64, 5)",
        ),
    ],
    ids=["another number", "another size"],
)
def test_one_that_answers_otherwise_is_refused_with_what_differs(
    optimized: Any, change: Any, said: str
) -> None:
    change_golden(optimized, change)
    result = optimized.run("configure")
    assert result["verdict"] == "FAIL"
    assert "answered otherwise: output scores" in result["reason"]
    assert said in result["reason"]


def test_without_a_server_it_is_not_tried_unless_the_policy_says_always(
    optimized: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("TIDEGATE_TRITONSERVER")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert optimized.run("configure")["verdict"] == "PASS"
    findings = optimized.document("repository_document")["findings"]
    assert "load and query" not in [f["name"] for f in findings]
    optimized.policy["triton"] = {"load_and_query": "always"}
    with pytest.raises(UsageError, match="no tritonserver is here; set TIDEGATE_TRITONSERVER"):
        optimized.run("configure")


def test_a_command_that_is_none_is_named(optimized: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", "no-such-server --flag")
    with pytest.raises(UsageError, match="TIDEGATE_TRITONSERVER: no-such-server is no command"):
        optimized.run("configure")


SOMEBODY_ELSE = """
import socket, sys
(port,) = [int(given.partition("=")[2]) for given in sys.argv if given.startswith("--http-port=")]
socket.socket().bind(("127.0.0.1", port))
"""


def test_nobody_else_is_given_a_port_of_a_server_that_is_about_to_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebody_else.py").write_text(SOMEBODY_ELSE)
    command = f"{sys.executable} {tmp_path / 'somebody_else.py'}"
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", command)
    with (
        pytest.raises(RejectedError, match="Address already in use"),
        tritonserver.serving(tmp_path, "digits"),
    ):
        pass


KILLED = """
import sys
from pathlib import Path
from tidegate.adapters import tritonserver
with tritonserver.serving(Path(sys.argv[1]), "digits"):
    print("serving", flush=True)
    sys.stdin.read()
"""


@pytest.mark.real
def test_a_server_ends_with_the_step_that_was_killed(optimized: Any) -> None:
    assert optimized.run("configure")["verdict"] == "PASS"
    repository = str(optimized.path("repository"))
    step = subprocess.Popen(
        [sys.executable, "-c", KILLED, repository], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert step.stdout is not None
    assert step.stdout.readline() == b"serving\n"
    servers = psutil.Process(step.pid).children(recursive=True)
    assert any("tritonserver" in " ".join(server.cmdline()) for server in servers)
    step.kill()
    step.communicate()
    deadline = time.monotonic() + 60
    while any(server.is_running() for server in servers) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = [server for server in servers if server.is_running()]
    for server in left:
        server.kill()
    assert left == []


@pytest.mark.real
def test_a_server_that_is_killed_while_it_is_asked_is_one_line_and_its_processes_end_with_it(
    optimized: Any,
) -> None:
    optimized.policy["triton"] = {"load_and_query": "never"}
    assert optimized.run("configure")["verdict"] == "PASS"
    before = set(psutil.Process().children(recursive=True))
    with tritonserver.serving(optimized.path("repository"), "digits") as loaded:
        started = set(psutil.Process().children(recursive=True)) - before
        (server,) = (one for one in started if one.name() == "tritonserver")
        stubs = [one for one in server.children() if "stub" in one.name()]
        assert stubs
        server.kill()
        with pytest.raises(RejectedError, match="loads digits and fails on golden inputs: "):
            loaded.answers({"X": images(1, seed=1)}, 1)
        _, left = psutil.wait_procs(stubs, timeout=20)
        assert left == []
