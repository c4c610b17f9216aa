"""In process, by kfp's runner and by Argo's drawing: one release ends with the same documents.

The same four runs with each, on one embedded cluster that is as new before each.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from kubernetes import client, config

from tests.e2e.conftest import POLICY, Home
from tests.e2e.test_flows import kill_step, until_asked
from tests.e2e.test_release import Production
from tests.e2e.told import Told, compared, told

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(1200)]
RUNNERS = ("in-process", "kfp", "argo")
KSERVE = ("serving.kserve.io", "v1beta1", "default", "inferenceservices")


class Stories:
    """Four runs, one after another: what they leave is where the next one begins."""

    def __init__(self, home: Home, runner: str, manual: Path) -> None:
        self.home, self.runner, self.manual = home, runner, manual
        self.runs = home.folder / f"runs-{runner}"

    def all(self) -> dict[str, Told]:
        return {
            "promoted": self.told(self.release, "1"),
            "rejected": self.told(self.release, "3"),
            "approved": self.told(self.approved, "2"),
            "killed": self.told(self.killed, "1"),
        }

    def told(self, run: Callable[[str], tuple[int, str]], version: str) -> Told:
        code, word = run(version)
        newest = max(self.runs.iterdir(), key=lambda path: path.stat().st_mtime)
        return told(newest, code, word)

    def command(self, version: str, policy: Path | None = None) -> tuple[str, ...]:
        return (
            "release", str(policy or self.home.policy), "--runner", self.runner,
            "--model-uri", f"models:/tiny/{version}", "--runs", str(self.runs),
        )  # fmt: skip

    def release(self, version: str, policy: Path | None = None) -> tuple[int, str]:
        done = self.home.tidegate(*self.command(version, policy))
        return done.returncode, done.stdout.strip()

    def approved(self, version: str) -> tuple[int, str]:
        came: list[tuple[int, str]] = []
        run = threading.Thread(target=lambda: came.append(self.release(version, self.manual)))
        with Production(self.home):
            time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
            run.start()
            until_asked(self.home)
            assert self.home.tidegate("approve", "tiny", "--reason", "it's me").returncode == 0
            run.join()
        return came[0]

    def killed(self, version: str) -> tuple[int, str]:
        """The load test's own process, which in process is that of all steps."""
        with subprocess.Popen(
            [sys.executable, "-m", "tidegate", *self.command(version)],
            env=self.home.environment, cwd=self.home.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as child:  # fmt: skip
            assert child.stderr is not None
            assert child.stdout is not None
            for line in child.stderr:
                if "load-test" in line and "pair" in line:
                    kill_step(child.pid, self.runner)
                    break
            child.stderr.read()
            word = child.stdout.read().strip()
        return child.returncode, word


def as_new(home: Home) -> None:
    """No service, no journal, no alias, no tag, nothing published."""
    config.load_kube_config(home.environment["KUBECONFIG"])
    gone = partial(client.CustomObjectsApi().delete_namespaced_custom_object, *KSERVE)
    gone("tiny")
    client.CoreV1Api().delete_namespaced_config_map("tidegate-tiny", "default")
    client.CoordinationV1Api().delete_namespaced_lease("tidegate-tiny", "default")
    shutil.rmtree(Path(home.environment["TIDEGATE_STORAGE_URI"].removeprefix("file://")) / "tiny")
    registry = f"{home.environment['MLFLOW_TRACKING_URI']}/api/2.0/mlflow"
    named = {"name": "tiny", "alias": "champion"}
    httpx.request("DELETE", f"{registry}/registered-models/alias", json=named).raise_for_status()
    for version in "123":
        asked = {"name": "tiny", "version": version}
        found = httpx.get(f"{registry}/model-versions/get", params=asked).json()["model_version"]
        for tag in found.get("tags", ()):
            httpx.request(
                "DELETE", f"{registry}/model-versions/delete-tag", json={**asked, "key": tag["key"]}
            ).raise_for_status()
    time.sleep(20)  # until the client of the story before is out of Prometheus' window


@pytest.fixture(scope="module")
def stories(home: Home) -> dict[str, dict[str, Told]]:
    import yaml

    manual = home.folder / "manual.yaml"
    asking = {**POLICY["traffic"], "approval": "manual", "approval_timeout_s": 90}  # type: ignore[dict-item]
    manual.write_text(
        yaml.safe_dump(POLICY | {"model": {"uri": "models:/tiny/1"}, "traffic": asking})
    )
    found = {}
    for runner in RUNNERS:
        found[runner] = Stories(home, runner, manual).all()
        as_new(home)
    return found


STORIES = {"promoted": "PROMOTED", "rejected": "REJECTED", "approved": "PROMOTED", "killed": "DIED"}
each = pytest.mark.parametrize("story", STORIES)


@each
def test_every_runner_ends_with_the_same_word(
    stories: dict[str, dict[str, Told]], story: str
) -> None:
    assert {runner: one[story].word for runner, one in stories.items()} == dict.fromkeys(
        RUNNERS, STORIES[story]
    )
    codes = {runner: one[story].code for runner, one in stories.items()}
    if story == "killed":  # kfp's runner does not say how a step ended
        assert codes.pop("kfp") == 1
    assert len(set(codes.values())) == 1, codes


@each
def test_every_runner_writes_the_same_documents(
    stories: dict[str, dict[str, Told]], story: str
) -> None:
    written = {runner: set(one[story].documents) for runner, one in stories.items()}
    assert written["kfp"] == written["argo"] == written["in-process"]
    assert "guard.page" in written["kfp"]
    assert ("report.report_document" in written["kfp"]) is (story != "killed")


@each
@pytest.mark.parametrize("runner", ["in-process", "argo"])
def test_every_value_is_the_same_but_for_times_ids_and_what_was_measured(
    stories: dict[str, dict[str, Told]], story: str, runner: str
) -> None:
    ours, theirs = compared(stories[runner][story]), compared(stories["kfp"][story])
    assert {k: (v, theirs.get(k)) for k, v in ours.items() if v != theirs.get(k)} == {}
    assert set(ours) == set(theirs)
    assert len(ours) > 100
