"""A whole release of one-task pipelines: each component alone, fed by importers with what came before.

`make test-components`; two of them are run in tests/orchestrators/test_components.py for every change.
"""

from pathlib import Path

import pytest

from tests.e2e.conftest import Home
from tests.e2e.test_release import alias, services
from tests.orchestrators.alone import Alone, run_alone
from tidegate.steps.registry import steps

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(300)]


class Bench:
    """The files so far, by the name of the port that wrote them; each component takes what it needs."""

    def __init__(self, home: Home, release_id: str) -> None:
        self.home, self.release_id = home, release_id
        self.files: dict[str, str] = {}
        self.told: dict[str, object] = {}
        self.done: list[str] = []

    def run(self, name: str, **scalars: object) -> Alone:
        step = steps()[name]
        files = {port.name: self.files[port.name] for port in step.ports("in")}
        wanted = {p.name for p in step.scalars}
        own = {"release_id": self.release_id} if "release_id" in wanted else {}
        done = run_alone(
            step.command, self.home.folder, {**own, **scalars}, files, self.home.environment
        )
        assert done.code == 0, done.said
        self.files |= done.files
        self.told |= done.parameters
        self.done.append(name)
        return done

    def judged(self, uri: str) -> None:
        self.run("train", command=f'echo {uri} > "$TIDEGATE_MODEL_URI_FILE"')
        assert self.told["model_uri"] == uri
        policy = str(self.home.policy)
        assert self.run("trigger", policy=policy, model_uri=uri).parameters["due"] == "YES"
        self.run("resolve", policy=policy, model_uri=self.told["pinned_uri"])
        for name in ("fetch", "optimize", "configure", "publish", "deploy", "load_test", "gate"):
            self.run(name)
        self.run("await_approval")
        self.files["verdict_document"] = self.files["approved_document"]


def test_every_component_runs_alone(home: Home) -> None:
    bench = Bench(home, "alone-1")
    bench.judged("models:/tiny/1")
    assert bench.told["verdict"] == "PASS"
    bench.run("promote")
    assert bench.told["outcome"] == "PROMOTED"
    assert alias(home) == "1"
    ended = {"outcome": "PROMOTED", "reason": "it's live"}
    bench.run("report", **ended)
    assert "PROMOTED" in Path(bench.files["page"]).read_text()
    bench.run("conclude", **ended)
    bench.run("guard")
    assert bench.run("sweep").parameters["returned"] == 0
    second = Bench(home, "alone-2")
    second.judged("models:/tiny/2")
    assert second.run("roll_back").parameters["outcome"] == "ROLLED_BACK"
    assert services(home) == ["tiny"]
    assert {*bench.done, *second.done} == set(steps())
