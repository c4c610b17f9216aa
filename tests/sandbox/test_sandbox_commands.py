"""`tidegate sandbox up|down|status` as a user types them, against one real cluster."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.sandbox.real_servers import Digits, body, eventually
from tidegate.sandbox.process import MARKER
from tidegate.sandbox.state import State, StateDirectory

pytestmark = pytest.mark.real
# The sub-application alone, with the error line of tidegate.cli.main: no other command is imported.
PROGRAM = """\
import sys
from tidegate.errors import TidegateError
from tidegate.sandbox.commands import sandbox_app
try:
    sandbox_app()
except TidegateError as error:
    sys.stderr.write(f"tidegate: {error}\\n")
    sys.exit(error.exit_code)
"""


def command(state: Path, *words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *words, "--state", str(state)]


def tidegate(state: Path, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(state, *words), env={**os.environ, **environ}, capture_output=True, text=True,
        check=False, timeout=100,
    )  # fmt: skip


def processes_of(state: Path) -> list[psutil.Process]:
    """Everything that names the folder or was started by a supervisor of it."""
    found = []
    for process in psutil.process_iter():
        try:
            named = str(state) in " ".join(process.cmdline())
            if process.pid != os.getpid() and (named or _started_for(process, state)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _started_for(process: psutil.Process, state: Path) -> bool:
    document = StateDirectory(state).root / "state.json"
    if not document.exists():
        return False
    return (
        process.environ().get(MARKER, "").startswith(json.loads(document.read_text())["sandbox_id"])
    )


def read(state: Path) -> State:
    found = StateDirectory(state).read()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """One detached cluster for this module, and what `up` printed."""
    state = tmp_path_factory.mktemp("sandbox") / "state"
    done = tidegate(state, "up")
    try:
        assert done.returncode == 0, done.stderr
        yield state, done.stdout
    finally:
        tidegate(state, "down")


def test_up_prints_progress_and_where_everything_is(up: tuple[Path, str]) -> None:
    state, printed = up
    assert "waiting for mlflow" in printed or "started" in printed
    for name in (
        "KUBECONFIG",
        "MLFLOW_TRACKING_URI",
        "TIDEGATE_PROMETHEUS_URL",
        "TIDEGATE_INGRESS_URL",
    ):
        assert read(state).environment[name] in printed


def test_every_part_answers(up: tuple[Path, str]) -> None:
    environment = read(up[0]).environment
    with httpx.Client(trust_env=False, timeout=60) as client:
        mlflow = f"{environment['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/search"
        assert client.get(mlflow, params={"max_results": 1}).status_code == 200
        assert client.get(f"{environment['TIDEGATE_PROMETHEUS_URL']}/-/ready").status_code == 200
        assert client.get(environment["TIDEGATE_INGRESS_URL"]).status_code == 404  # no such host
    assert Path(environment["KUBECONFIG"]).exists()
    assert Path(environment["TIDEGATE_STORAGE_URI"].removeprefix("file://")).is_dir()


def test_every_server_listens_on_loopback_only(up: tuple[Path, str]) -> None:
    listening = [
        connection.laddr.ip
        for process in processes_of(up[0])
        for connection in process.connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 5
    assert set(listening) == {"127.0.0.1"}


def test_an_artifact_goes_through_mlflow_s_proxy_into_the_state_folder(
    up: tuple[Path, str],
) -> None:
    url = read(up[0]).environment["MLFLOW_TRACKING_URI"]
    path = f"{url}/api/2.0/mlflow-artifacts/artifacts/models/file.txt"
    assert httpx.put(path, content=b"content", trust_env=False).status_code == 200
    assert httpx.get(path, trust_env=False).content == b"content"
    assert (up[0] / "mlflow" / "artifacts" / "models" / "file.txt").read_bytes() == b"content"


def test_a_second_up_joins(up: tuple[Path, str]) -> None:
    before = read(up[0]).pid
    done = tidegate(up[0], "up")
    assert done.returncode == 0
    assert "sandbox joined" in done.stdout
    assert read(up[0]).environment["MLFLOW_TRACKING_URI"] in done.stdout
    assert read(up[0]).pid == before


def test_an_up_that_wants_another_port_is_refused(up: tuple[Path, str]) -> None:
    done = tidegate(up[0], "up", "--mlflow-port", "5999")
    assert done.returncode == 4
    assert "--mlflow-port" in done.stderr
    assert "tidegate sandbox down" in done.stderr


def test_an_up_that_wants_another_mode_is_refused(up: tuple[Path, str]) -> None:
    assert tidegate(up[0], "up", "--mode", "Knative").returncode == 0
    done = tidegate(up[0], "up", "--mode", "Standard")
    assert done.returncode == 4
    assert "a sandbox runs with --mode Knative, not Standard" in done.stderr


def test_an_up_of_another_version_is_refused(up: tuple[Path, str]) -> None:
    directory, document = StateDirectory(up[0]), read(up[0])
    own, document.tidegate = document.tidegate, "0.0.1"
    directory.write(document)
    done = tidegate(up[0], "up")
    document.tidegate = own
    directory.write(document)
    assert done.returncode == 4
    assert "tidegate 0.0.1 holds" in done.stderr


def test_status_lists_every_part_with_its_memory(up: tuple[Path, str]) -> None:
    done = tidegate(up[0], "status")
    assert done.returncode == 0, done.stderr
    for part in ("supervisor", "mlflow", "prometheus", "envoy", "kubernetes-api"):
        assert part in done.stdout
    document = json.loads(tidegate(up[0], "status", "--json").stdout)
    assert document["phase"] == "Ready"
    assert all(p["pid"] and p["rss_mb"] > 5 for p in document["parts"])


def test_an_inference_service_is_served_through_envoy_and_scraped(
    up: tuple[Path, str], digits: Digits
) -> None:
    revision = served(up[0], digits)
    series = "kn_serving_invocation_duration_seconds_count"
    assert_scraped(up[0], f'{series}{{serving_knative_dev_revision="{revision}"}} == 1')
    assert states(up[0])[f"default/{revision}"] == "Ready"


def test_in_standard_mode_a_deployment_is_served_scraped_and_shown(
    tmp_path: Path, digits: Digits
) -> None:
    state = tmp_path / "state"
    done = tidegate(state, "up", "--mode", "Standard")
    assert done.returncode == 0, done.stderr
    try:
        service = served(state, digits)
        assert service == "digits-predictor"
        series = f'istio_requests_total{{destination_service_name="{service}"}}'
        assert_scraped(state, f"{series} == 1")
        assert_scraped(state, f'nv_inference_request_success{{app="isvc.{service}"}} == 1')
        (server,) = [name for name in states(state) if name.startswith(f"default/{service}-")]
        assert states(state)[server] == "Ready"
    finally:
        assert tidegate(state, "down").returncode == 0


def served(state: Path, digits: Digits) -> str:
    """One request to a new service, answered right; what the answer says of its revision."""
    environment = read(state).environment
    storage = Path(environment["TIDEGATE_STORAGE_URI"].removeprefix("file://"))
    shutil.copytree(digits.repository, storage / "digits-1")
    with httpx.Client(trust_env=False, timeout=60) as client:
        create_inference_service(client, environment, f"file://{storage}/digits-1/")
        eventually(lambda: digits_url(client, environment) is not None)
        host = str(digits_url(client, environment)).removeprefix("http://")
        url = f"{environment['TIDEGATE_INGRESS_URL']}/v2/models/digits/infer"
        answer = client.post(url, json=body(digits.images[:4]), headers={"host": host})
    assert answer.status_code == 200, answer.text
    labels = {o["name"]: o["data"] for o in answer.json()["outputs"]}["label"]
    assert labels == digits.answers(digits.images[:4])[0].tolist()
    return answer.headers["x-tidegate-revision"]


def assert_scraped(state: Path, query: str) -> None:
    url = f"{read(state).environment['TIDEGATE_PROMETHEUS_URL']}/api/v1/query"

    def is_there() -> bool:
        answer = httpx.get(url, params={"query": query}, trust_env=False, verify=False)
        return bool(answer.json()["data"]["result"])

    eventually(is_there, what=lambda: query)


def states(state: Path) -> dict[str, str]:
    """State by part, as `sandbox status` shows it."""
    rows = json.loads(tidegate(state, "status", "--json").stdout)["parts"]
    return {row["name"]: row["state"] for row in rows}


def create_inference_service(client: httpx.Client, environment: dict[str, str], uri: str) -> None:
    model = {"modelFormat": {"name": "triton"}, "runtime": "kserve-tritonserver", "storageUri": uri}
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "digits", "namespace": "default"},
        "spec": {"predictor": {"model": {**model, "protocolVersion": "v2"}}},
    }
    assert client.post(services(environment), json=document).status_code == 201


def services(environment: dict[str, str]) -> str:
    kubeconfig = yaml.safe_load(Path(environment["KUBECONFIG"]).read_text())
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    return f"{server}/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices"


def digits_url(client: httpx.Client, environment: dict[str, str]) -> str | None:
    status = client.get(f"{services(environment)}/digits").json().get("status", {})
    ready = {c["type"]: c["status"] for c in status.get("conditions", [])}.get("Ready") == "True"
    return str(status["url"]) if ready else None


def test_what_dies_is_noticed_and_told_and_down_ends_the_rest(tmp_path: Path) -> None:
    """A story in one test: what one of its parts leaves is what the next one is about."""
    state = tmp_path / "state"
    assert tidegate(state, "up").returncode == 0
    try:
        a_dead_part_is_told_and_not_joined(state)
        a_dead_supervisor_leaves_no_process(state)
    finally:
        downs = [tidegate(state, "down") for _ in range(2)]
    assert [done.returncode for done in downs] == [0, 0], downs
    assert tidegate(state, "status").returncode == 75


def a_dead_part_is_told_and_not_joined(state: Path) -> None:
    (found,) = [p for p in read(state).parts if p.name == "prometheus"]
    psutil.Process(found.pid).kill()
    eventually(lambda: {p.name: p.state for p in read(state).parts}["prometheus"] == "DEAD")
    done = tidegate(state, "status")
    assert done.returncode == 75
    assert "prometheus" in done.stderr
    assert "exit code -9" in done.stdout
    again = tidegate(state, "up")
    assert again.returncode == 4
    assert again.stderr.count("\n") == 1
    assert "lost prometheus; run `tidegate sandbox down`" in again.stderr


def a_dead_supervisor_leaves_no_process(state: Path) -> None:
    psutil.Process(read(state).pid).kill()
    eventually(lambda: not processes_of(state), what=lambda: processes_of(state))
    done = tidegate(state, "status")
    assert done.returncode == 75
    assert "the supervisor of" in done.stderr
    assert "DEAD" in done.stdout


def test_an_interrupted_up_leaves_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with subprocess.Popen(
        command(state, "up"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as starting:
        eventually(lambda: (state / "state.json").exists() and len(processes_of(state)) >= 4)
        starting.send_signal(signal.SIGINT)
        starting.communicate(timeout=60)
    assert starting.returncode != 0
    assert processes_of(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sandbox_in_the_foreground_ends_cleanly_on_a_signal(tmp_path: Path, number: int) -> None:
    state = tmp_path / "state"
    with subprocess.Popen(command(state, "up", "--foreground"), stderr=subprocess.PIPE) as running:
        eventually(lambda: (state / "state.json").exists() and len(processes_of(state)) >= 4)
        running.send_signal(number)
        running.communicate(timeout=60)
    assert running.returncode == 0
    assert processes_of(state) == []
    assert read(state).phase == "Stopped"


def test_a_port_in_use_is_one_line_and_nothing_is_started(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = tidegate(tmp_path, "up", "--mlflow-port", str(port))
    assert done.returncode == 2
    assert done.stderr == (
        f"tidegate: --mlflow-port {port}: the port is in use on 127.0.0.1; leave the flag out\n"
    )
    assert processes_of(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_nothing_is_left_running(small_disk: Path) -> None:
    done = tidegate(small_disk / "state", "up")
    assert done.returncode == 75
    assert done.stderr.count("\n") == 1
    assert "no space left on the disk" in done.stderr
    assert processes_of(small_disk) == []


def test_a_missing_system_package_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    done = tidegate(tmp_path, "up", PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "tidegate: prometheus is not on PATH; apt-get install prometheus\n"


def test_down_where_nothing_ever_ran_is_fine(tmp_path: Path) -> None:
    done = tidegate(tmp_path / "never", "down")
    assert done.returncode == 0
    assert "no sandbox in" in done.stdout
    assert not (tmp_path / "never").exists()


def test_down_never_calls_a_held_folder_empty(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("ab") as lock:  # as a version without a named holder leaves it
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = tidegate(tmp_path, "down")
    assert done.returncode == 4
    assert "held by a sandbox of another tidegate" in done.stderr


def test_an_unknown_era_is_one_line(tmp_path: Path) -> None:
    done = tidegate(tmp_path, "up", "--era", "stone")
    assert done.returncode == 2
    assert "--era stone: unknown" in done.stderr


def test_an_unknown_mode_is_one_line(tmp_path: Path) -> None:
    done = tidegate(tmp_path / "state", "up", "--mode", "standard")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "tidegate: --mode standard: unknown; use one of Knative, Standard"
    )
