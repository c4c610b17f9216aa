"""A Job as a gate, against the embedded API and its Job controller, which runs real processes."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.steps.traffic.traffic_cluster import Ingress, Runtime
from tidegate.adapters.job_gate import asked
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.core.job_gate import job_name, manifest
from tidegate.documents import Word
from tidegate.errors import UnavailableError
from tidegate.policy import JobSlo
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rule
from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.controllers.loop import ControllerLoop
from tidegate.sandbox.jobs import ProcessJobs
from tidegate.sandbox.process import Spawner, marked
from tidegate.steps.stopping import StoppedError

JOBS, PODS = "/apis/batch/v1/namespaces/default/jobs", "/api/v1/namespaces/default/pods"
TOLD = {"revision": "m-2", "host": "m-2.test"}
MAY = {
    "create jobs": Rule(verb="create", group="batch", resource="jobs"),
    "get jobs": Rule(verb="get", group="batch", resource="jobs"),
    "delete jobs": Rule(verb="delete", group="batch", resource="jobs"),
    "list pods": Rule(verb="list", group="", resource="pods"),
    "get pods/log": Rule(verb="get", group="", resource="pods/log"),
}


def users() -> dict[str, list[Rule]]:
    """One for each right that is missing, and one who has all of them."""
    without = {
        f"without {one}".replace(" ", "-").replace("/", "-"): [
            rule for name, rule in MAY.items() if name != one
        ]
        for one in MAY
    }
    return {"gate": list(MAY.values()), **without}


@dataclass
class Cluster:
    """The API, the administrator's client on it, and who runs the Jobs."""

    api: ApiServer
    kube: Kubernetes
    folder: Path
    sandbox_id: str
    running: bool  # whether anybody runs Jobs

    @property
    def jobs(self) -> list[Any]:
        return list(self.kube.request("GET", JOBS)["items"])

    @property
    def pods(self) -> list[Any]:
        return list(self.kube.request("GET", PODS)["items"])

    def is_clean(self) -> bool:
        """No Job, no pod, and no process of theirs is left."""
        if self.running:
            self._see_another_through()
        until = time.monotonic() + 60
        while marked(self.sandbox_id) and time.monotonic() < until:
            time.sleep(0.02)
        return not (self.jobs or self.pods or marked(self.sandbox_id))

    def _see_another_through(self) -> None:
        """A Job that is deleted just as its pod is being made is started first and ended then. Whoever runs
        Jobs has done both when a Job that was made later has ended."""
        later = self.kube.request("POST", JOBS, wanted(gate("true", name="later")))
        path = f"{JOBS}/{later['metadata']['name']}"
        until = time.monotonic() + 60
        while not (self.kube.request("GET", path).get("status") or {}).get("conditions"):
            assert time.monotonic() < until
            time.sleep(0.02)
        self.kube.request("DELETE", path, {"propagationPolicy": "Background"})

    @contextmanager
    def as_user(self, name: str) -> Iterator[Kubernetes]:
        with pytest.MonkeyPatch.context() as patched:
            path = write_kubeconfig(self.folder / name, self.api.url, token=name)
            patched.setenv("KUBECONFIG", str(path))
            with connect(retry_s=0.5) as kube:
                yield kube


@contextmanager
def clustered(folder: Path, *, running: bool = True) -> Iterator[Cluster]:
    """With a Job controller, or with none that would ever do anything."""
    spawner, sandbox_id = Spawner(), f"jobs-of-a-test-{id(folder)}"
    jobs = ProcessJobs(folder / "jobs", spawner=spawner, sandbox_id=sandbox_id)
    api = ApiServer(state_dir=folder, pod_logs=jobs.log, rules=users())
    loop = ControllerLoop(api.store, Runtime(), Ingress(), jobs=jobs if running else None)
    api.start()
    loop.start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KUBECONFIG", str(write_kubeconfig(folder / "admin", api.url)))
        with connect(retry_s=2) as kube:
            yield Cluster(api=api, kube=kube, folder=folder, sandbox_id=sandbox_id, running=running)
    loop.stop()
    api.stop()
    jobs.close()
    spawner.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with clustered(tmp_path_factory.mktemp("cluster")) as held:
        yield held


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    """The same for all tests; each leaves it as it was."""
    yield shared
    for job in shared.jobs:
        path = f"{JOBS}/{job['metadata']['name']}"
        shared.kube.request("DELETE", path, {"propagationPolicy": "Background"})


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster in which nobody runs Jobs: the test says what becomes of them."""
    with clustered(tmp_path, running=False) as held:
        yield held


def gate(script: str | None, *, timeout_s: float = 20, name: str = "fairness") -> JobSlo:
    """A Job that runs this in a shell; without a script there is an image alone."""
    container: dict[str, Any] = {"name": "check", "image": "i@sha256:1"}
    container |= {"command": ["sh", "-c", script]} if script else {}
    return JobSlo(kind="job", name=name, pod={"containers": [container]}, timeout_s=timeout_s)


def ask(
    kube: Kubernetes, objective: JobSlo, stop: Callable[[], None] = lambda: None
) -> tuple[Word, str]:
    return asked(
        kube, objective, TOLD, namespace="default", release_id="r-1", look_every_s=0.02, stop=stop
    )


def wanted(objective: JobSlo) -> Any:
    return manifest(objective, job_name(objective, "r-1"), TOLD)


@pytest.mark.parametrize(
    ("script", "word", "words"),
    [
        ("exit 0", Word.PASS, "exited 0"),
        ("echo so and so; echo biased; exit 1", Word.FAIL, "exited 1: biased"),
        ("exit 2", Word.INCONCLUSIVE, "exited 2"),
        ("exit 3", Word.INVALID, "exited 3, which is no verdict"),
        ("kill -9 $$", Word.INVALID, "exited 137, which is no verdict"),
    ],
)
def test_the_exit_of_a_job_decides_and_nothing_is_left_of_it(
    cluster: Cluster, script: str, word: Word, words: str
) -> None:
    found, why = ask(cluster.kube, gate(script))
    assert (found, words in why) == (word, True), why
    assert cluster.is_clean()


@pytest.mark.parametrize("script", ["sleep 600", None])
def test_a_job_that_never_ends_or_cannot_start_is_invalid_in_time_and_its_process_ends(
    cluster: Cluster, script: str | None
) -> None:
    word, why = ask(cluster.kube, gate(script, timeout_s=1))
    assert (word, "was not done in time" in why) == (Word.INVALID, True), why
    assert cluster.is_clean()


def test_a_job_is_told_about_the_candidate(cluster: Cluster) -> None:
    script = 'test "$TIDEGATE_REVISION $TIDEGATE_HOST" = "m-2 m-2.test"'
    assert ask(cluster.kube, gate(script))[0] is Word.PASS


def test_a_job_has_no_token_and_is_tried_once_for_a_bounded_time() -> None:
    spec = wanted(gate("true", timeout_s=0.2))["spec"]
    pod = spec["template"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["restartPolicy"]) == (False, "Never")
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 1)


def when_made(cluster: Cluster, act: Callable[[str], object]) -> threading.Thread:
    """Somebody who does something as soon as there is a Job."""

    def run() -> None:
        while not (jobs := cluster.jobs):
            time.sleep(0.01)
        act(f"{JOBS}/{jobs[0]['metadata']['name']}")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_job_that_somebody_deletes_is_invalid(cluster: Cluster) -> None:
    body = {"propagationPolicy": "Background"}
    other = when_made(cluster, lambda path: cluster.kube.request("DELETE", path, body))
    word, why = ask(cluster.kube, gate("sleep 600"))
    other.join()
    assert (word, "was deleted by somebody before it had ended" in why) == (Word.INVALID, True)
    assert cluster.is_clean()


def test_a_job_that_somebody_puts_in_its_place_is_neither_believed_nor_removed(
    cluster: Cluster,
) -> None:
    ours = gate("sleep 600")
    theirs = wanted(ours)
    theirs["spec"]["template"]["spec"]["containers"][0]["command"] = ["true"]

    def replace(path: str) -> None:
        cluster.kube.request("DELETE", path, {"propagationPolicy": "Background"})
        cluster.kube.request("POST", JOBS, theirs)

    other = when_made(cluster, replace)
    word, why = ask(cluster.kube, ours)
    other.join()
    assert (word, "was deleted by somebody" in why) == (Word.INVALID, True), why
    assert [job["spec"] for job in cluster.jobs] == [theirs["spec"]]


def test_the_job_of_a_try_that_died_is_waited_for_and_not_run_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    objective = gate(f"echo run >> {tmp_path}/runs; sleep 0.3")
    cluster.kube.request("POST", JOBS, wanted(objective))
    assert ask(cluster.kube, objective)[0] is Word.PASS
    assert (tmp_path / "runs").read_text() == "run\n"
    assert cluster.is_clean()


def test_a_job_of_our_name_that_asks_something_else_is_invalid_and_stays(cluster: Cluster) -> None:
    cluster.kube.request("POST", JOBS, wanted(gate("true")))
    word, why = ask(cluster.kube, gate("exit 1"))
    assert (word, "asks something else; remove it" in why) == (Word.INVALID, True), why
    assert len(cluster.jobs) == 1


@pytest.mark.parametrize(
    ("user", "script", "word", "words", "is_left"),
    [
        ("gate", "exit 1", Word.FAIL, "exited 1", False),
        ("without-create-jobs", "true", Word.INVALID, 'cannot create resource "jobs"', False),
        ("without-get-jobs", "true", Word.INVALID, 'cannot get resource "jobs"', False),
        ("without-list-pods", "exit 1", Word.INVALID, 'cannot list resource "pods"', False),
        ("without-get-pods-log", "echo x; exit 1", Word.FAIL, "exited 1", False),
        ("without-delete-jobs", "exit 1", Word.FAIL, "it could not be removed (", True),
    ],
)
def test_a_missing_right_is_invalid_and_named_unless_the_verdict_is_known(
    cluster: Cluster, user: str, script: str, word: Word, words: str, is_left: bool
) -> None:
    with cluster.as_user(user) as kube:
        found, why = ask(kube, gate(script))
    assert (found, words in why) == (word, True), why
    assert ("apply deploy/components/job-gate" in why) == (word is Word.INVALID)
    assert bool(cluster.jobs) == is_left


def test_a_gate_that_is_told_to_stop_takes_its_job_with_it(cluster: Cluster) -> None:
    looks: list[int] = []

    def stop() -> None:
        looks.append(1)
        if len(looks) > 3:
            raise StoppedError("stopped by SIGTERM")

    with pytest.raises(StoppedError):
        ask(cluster.kube, gate("sleep 600"), stop)
    assert cluster.is_clean()


def test_a_job_whose_making_was_never_answered_is_removed_as_well(cluster: Cluster) -> None:
    class Deaf(Kubernetes):
        def once(
            self, method: str, path: str, body: Any, query: Mapping[str, str] | None
        ) -> dict[str, Any]:
            answer = super().once(method, path, body, query)
            if method == "POST":
                raise UnavailableError("the connection ended")
            return answer

    deaf = Deaf(cluster.kube._client, retry_s=0)
    assert ask(deaf, gate("sleep 600")) == (
        Word.INVALID,
        f"Job default/{job_name(gate(None), 'r-1')}: the connection ended",
    )
    assert cluster.is_clean()


def test_a_job_that_nobody_ever_runs_is_given_up_and_removed(
    idle: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.adapters.job_gate.GRACE_S", 0.05)
    word, why = ask(idle.kube, gate("true", timeout_s=0.1))
    assert (word, "has not ended" in why) == (Word.INVALID, True)
    assert idle.is_clean()


def test_a_job_that_failed_without_a_pod_to_show_for_it_is_invalid(idle: Cluster) -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}

    def fail(path: str) -> None:
        status = {"status": {"conditions": [failed]}}
        idle.kube.request("PATCH", f"{path}/status", status)

    other = when_made(idle, fail)
    word, why = ask(idle.kube, gate("true"))
    other.join()
    assert (word, "without an exit code" in why) == (Word.INVALID, True), why


def test_an_api_that_goes_away_meanwhile_is_invalid(idle: Cluster) -> None:
    with idle.as_user("gate") as kube:
        other = when_made(idle, lambda _: idle.api.stop())
        word, why = ask(kube, gate("true"))
    other.join()
    assert (word, "cannot be reached" in why) == (Word.INVALID, True), why
    assert "it could not be removed" in why
