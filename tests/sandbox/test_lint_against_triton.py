"""The linter's word against the real server's, on a few hundred drawn repositories."""

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.sandbox import lint_page, triton_trials
from tests.sandbox.lint_page import NOT_TRIED
from tests.sandbox.triton_trials import Trial
from tidegate.adapters.model_config_text import from_text, to_text
from tidegate.core.lint import RULES, Judged
from tidegate.errors import DocumentError
from tidegate.sandbox import ports, triton_command
from tidegate.sandbox.process import Child, Spawner

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(900)]
SOUND, OF_EACH, TOGETHER = 40, 4, 4
REFUSED = (Judged.ANSWER, Judged.LOG)
CRASHES = "warm-up size"
OF_THEIR_OWN = {
    CRASHES: 3,
    "model file": 3,
    "metrics config": 3,
}  # each tried on servers of its own


@dataclass(frozen=True)
class Triton:
    """A server in explicit mode."""

    models: Path
    url: str

    def takes(self, trial: Trial, name: str, within_s: float = 110) -> str:
        """'' when the model was loaded, else what the server said."""
        trial.write(self.models, name)
        try:
            answer = httpx.post(f"{self.url}/v2/repository/models/{name}/load", timeout=within_s)
        except httpx.ReadTimeout:
            return "no answer"
        except httpx.RemoteProtocolError:
            return "the server ended"
        if answer.status_code == httpx.codes.OK:
            httpx.post(f"{self.url}/v2/repository/models/{name}/unload", timeout=30)
            return ""
        return str(answer.json()["error"])


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    with running(tmp_path_factory.mktemp("triton")) as one:
        Trial(triton_trials.INNER).write(one.models, "inner")
        httpx.post(f"{one.url}/v2/repository/models/inner/load", timeout=60).raise_for_status()
        yield one


@contextmanager
def running(root: Path, *arguments: str) -> Iterator[Triton]:
    """A tritonserver of its own."""
    (root / "models").mkdir()
    port, *others = (ports.free_port() for _ in range(3))
    url, marker = f"http://127.0.0.1:{port}", uuid.uuid4().hex
    spawner = Spawner()
    command = triton_command.arguments(
        models=root / "models",
        backends=triton_command.assemble_backends(root / "backends"),
        ports=(port, others[0], others[1]),
        prefix=triton_command.shared_memory_prefix(marker, "lint"),
        extra=["--model-control-mode=explicit", *arguments],
    )
    environment = triton_command.environment({})
    server = Child(
        "triton", command, env=environment, log=root / "log", spawner=spawner, sandbox_id=marker
    )
    try:
        server.wait_ready(lambda: is_ready(url), timeout_s=60)
        yield Triton(root / "models", url)
    finally:
        server.stop(grace_s=2)
        spawner.close()
        triton_command.remove_shared_memory(marker)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v2/health/ready").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def drawn() -> list[Trial]:
    """The same every time: sound ones, some of each fault alone, and pairs of faults."""
    alone = [name for name in triton_trials.FAULTS if name != CRASHES]
    faults = [*alone, *triton_trials.ENSEMBLE_FAULTS]
    pairs = list(pairwise(alone))
    groups = [
        *several(triton_trials.faulty(), SOUND),
        *several(triton_trials.sound_ensembles().map(Trial), OF_EACH),
        *several(triton_trials.sound_sequences().map(Trial), OF_EACH),
        *(one for name in faults for one in several(triton_trials.faulty(name), OF_EACH)),
        *(one for pair in pairs for one in several(triton_trials.faulty(*pair), 2)),
    ]
    return list({repr(trial): trial for trial in groups}.values())


def several(strategy: st.SearchStrategy[Trial], count: int) -> list[Trial]:
    """So many draws of a strategy, without its smallest."""
    found: list[Trial] = []

    @settings(
        max_examples=count + 1, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def draw(trial: Trial) -> None:
        found.append(trial)

    draw()
    return found[-count:]


def broken_rules(trial: Trial, name: str) -> set[str]:
    """The rules that complain; 'text' for what cannot even be parsed."""
    repository = trial.repository(name)
    broken = {rule.name for rule in RULES if rule.check(repository)}
    try:
        from_text(trial.text, what="config.pbtxt")
    except DocumentError:
        broken.add("text")
    return broken


def test_text_to_message_to_text_is_the_identity_for_all_that_can_be_parsed() -> None:
    for trial in drawn():
        text = to_text(trial.config)
        assert to_text(from_text(text, what="config.pbtxt")) == text


def test_lint_and_the_real_server_agree_on_every_repository(triton: Triton) -> None:
    trials = drawn()
    refuses = {rule.name for rule in RULES if rule.judged in REFUSED} | {"text"}
    names = [f"m{number}" for number in range(len(trials))]
    with ThreadPoolExecutor(TOGETHER) as pool:
        said = list(pool.map(triton.takes, trials, names))
    broken = [broken_rules(trial, name) for trial, name in zip(trials, names, strict=True)]
    hits = Counter(rule for rules in broken for rule in rules)
    disagreements = [
        f"lint {sorted(rules)}, Triton {answer or 'took it'}\n{trial.text}"
        for trial, rules, answer in zip(trials, broken, said, strict=True)
        if bool(rules & refuses) != bool(answer)
    ]
    refused = sum(bool(answer) for answer in said)
    lint_page.keep(
        {
            "repositories": len(trials),
            "refused": refused,
            "apart": disagreements,
            "hits": {rule: hits[rule] for rule in sorted(hits)} | OF_THEIR_OWN,
        }
    )
    assert disagreements == []
    assert len(trials) >= 200
    assert refused >= 0.4 * len(trials)
    assert {rule.name for rule in RULES} - set(NOT_TRIED) - set(OF_THEIR_OWN) <= {
        r for r, n in hits.items() if n >= 3
    }


def test_a_warm_up_above_the_largest_batch_is_never_taken(tmp_path: Path) -> None:
    """Refused with one input; with several the server itself has ended."""
    for number, trial in enumerate(several(triton_trials.faulty(CRASHES), 3)):
        (root := tmp_path / str(number)).mkdir()
        with running(root) as server:
            assert server.takes(trial, "m")
        assert broken_rules(trial, "m") == {CRASHES}


def test_a_python_model_without_its_file_is_never_taken(tmp_path: Path) -> None:
    """It hangs the load, and the server has to be killed."""
    for number, trial in enumerate(several(triton_trials.sound().map(Trial), 3)):
        (root := tmp_path / str(number)).mkdir()
        lost = replace(trial, files=())
        with running(root) as server:
            assert server.takes(lost, "m", within_s=8)
        assert broken_rules(lost, "m") == {"model file"}


@pytest.mark.parametrize(
    "argument",
    ["fast=true", "histogram=true", "counter_latencies=false"],
)
def test_metrics_that_there_are_not_or_that_stop_are_taken_in_silence(
    tmp_path: Path, argument: str
) -> None:
    (trial,) = several(triton_trials.sound().map(Trial), 1)
    with running(tmp_path, f"--metrics-config={argument}") as server:
        assert server.takes(trial, "m") == ""
    started = replace(triton_trials.SERVER, arguments=(f"--metrics-config={argument}",))
    checked = replace(trial.repository("m"), server=started)
    assert [r.name for r in RULES if r.check(checked)] == ["metrics config"]
