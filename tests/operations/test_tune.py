"""tune on the real Triton: the settings it prints, what it writes, and how it ends when nothing is good."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import psutil
import pytest
import yaml
from typer.testing import CliRunner

from tests.operations.served import SERVER, repository
from tidegate.adapters import golden_data, model_config_text
from tidegate.adapters.reloading import reloading
from tidegate.cli import app, main
from tidegate.core.model_config.resizing import resized, setting_of
from tidegate.documents import Setting, Tuning
from tidegate.errors import UnavailableError

SMALL = (
    *("--batches", "1,4", "--instances", "1,2", "--threads", "1", "--delays-us", "0"),
    *("--step-s", "0.1", "--max-in-flight", "8", "--budget", "4"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return repository(tmp_path_factory.mktemp("tuned"))


def command(model: tuple[Path, Path], *more: str) -> list[str]:
    folder, golden = model
    given = ("--repository", str(folder), "--golden", str(golden))
    return [sys.executable, "-m", "tidegate", "tune", *given, *more]


def tune(model: tuple[Path, Path], *more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(model, *more), capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.real
def test_it_prints_the_fields_of_the_winner_and_writes_every_point_and_the_frontier(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    done = tune(model, *SMALL, "--p99-ms", "2000", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    fields = yaml.safe_load(done.stdout)["triton"]
    found = Tuning.model_validate_json((tmp_path / "tuning.json").read_text())
    assert found.winner is not None
    assert fields == {
        "max_batch_size": found.winner.max_batch_size,
        "instances": found.winner.instances,
        "max_queue_delay_us": 0,
        "threads": 1,
    }
    assert found.measured <= found.budget == 4
    assert {trial.setting for trial in found.trials} <= set(found.space)
    assert all(level.wrong == 0 for trial in found.trials for level in trial.levels)
    assert found.confirmed is not None
    assert (found.confirmed.setting, found.confirmed.origin) == (found.winner, "fresh data")
    assert found.open_loop[-1].keeps_limit
    drawing = ET.fromstring((tmp_path / "tuning.svg").read_text())
    assert "SLO: p99 within 2000 ms" in "".join(drawing.itertext())


@pytest.mark.real
def test_where_no_setting_keeps_the_limit_it_exits_7_and_says_how_far_off_it_is(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    done = tune(model, *SMALL, "--p99-ms", "0.001", "--out", str(tmp_path))
    assert (done.returncode, done.stdout) == (7, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tidegate: no setting kept p99 within 0.001 ms: the best p99 was ")
    assert " x the limit, with batch " in last
    found = json.loads((tmp_path / "tuning.json").read_text())
    assert found["winner"] is None
    assert found["pruned"] == {"one request alone breaks the limit": 3}
    assert len(found["trials"]) == 1


@pytest.mark.real
def test_the_winner_is_asked_rows_that_the_search_has_not_seen(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    golden = golden_data.read(model[1], what="golden")
    scores = golden.outputs["scores"].copy()
    scores[1::2] += 1  # wrong, every second one
    other = tmp_path / "golden.npz"
    golden_data.save(other, dict(golden.inputs), {"scores": scores})
    one = (*SMALL, "--budget", "2", "--max-in-flight", "1")
    done = tune((model[0], other), *one, "--p99-ms", "2000", "--out", str(tmp_path))
    assert done.returncode == 7, done.stderr
    assert "requests failed or were wrong; correct" in done.stderr.splitlines()[-1]
    found = Tuning.model_validate_json((tmp_path / "tuning.json").read_text())
    assert {level.wrong for trial in found.trials for level in trial.levels} == {0}
    assert found.confirmed is not None
    assert all(level.wrong == level.requests for level in found.confirmed.levels)


@pytest.mark.real
def test_ctrl_c_ends_it_with_its_server_and_writes_nothing(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    given = command(model, *SMALL, "--p99-ms", "2000", "--out", str(tmp_path / "out"))
    running = subprocess.Popen(given, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if "starts at" in line:
            break
    started = psutil.Process(running.pid).children(recursive=True)
    assert any("tritonserver" in one.name() for one in started)
    running.send_signal(signal.SIGINT)
    assert "stopped; nothing was written" in running.communicate(timeout=60)[1]
    assert running.returncode == 128 + signal.SIGINT
    assert psutil.wait_procs(started, timeout=10)[1] == []
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_a_config_that_does_not_load_is_told_and_the_one_before_goes_on_serving(
    model: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", SERVER)
    text = (model[0] / "digits" / "config.pbtxt").read_text()
    config = model_config_text.from_text(text, what="config.pbtxt")
    broken = model_config_text.from_text(
        text + "optimization { graph { level: 7 } }", what="config.pbtxt"
    )
    wanted = Setting(max_batch_size=2, instances=2, queue_delay_us=700, threads=1)
    with reloading(model[0], "digits") as server:
        plain = replace(config, instance_group=())
        assert server.load(resized(plain, wanted)) == ""
        assert server.load(resized(config, wanted)) == ""
        assert "optimization.graph.level 7" in server.load(broken)
        served = server.model.config()
        assert setting_of(served) == wanted
        for axis in Setting.model_fields:  # each of them is looked at
            other = wanted.model_copy(update={axis: getattr(wanted, axis) + 1})
            with pytest.raises(UnavailableError, match="after it said that it loaded that"):
                server.require_served(resized(config, other))
        rows = np.zeros((2, 1, 16, 16), np.float32)
        assert server.model.answers({"X": rows}, 2)["scores"].shape == (2, 10)


BAD = {
    "nothing to tune": ((), 2, "name a policy, or a --repository with its --golden rows"),
    "no rows": (
        ("--repository", "."),
        2,
        "--golden None: no such file; give the model's golden.npz",
    ),
    "words for numbers": (
        ("--batches", "1,two"),
        2,
        "--batches '1,two': write whole numbers of at least 1, as in 1,2,4",
    ),
    "a batch of nothing": (("--batches", "0,1"), 2, "--batches '0,1': write whole numbers of at"),
    "nothing but a probe": (("--budget", "1"), 2, "--budget 1 is spent on the probe; give 2 or"),
    "rows of a model version": (
        ("policy.yaml", "--golden", "golden.npz"),
        2,
        "--golden goes with --repository; a model version brings its own rows",
    ),
    "no such policy": (("nowhere.yaml",), 3, "nowhere.yaml"),
}


@pytest.mark.parametrize("given", BAD)
def test_bad_input_is_one_line(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, code, message = BAD[given]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tidegate", "tune", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == code, said
    assert sum(line.startswith("tidegate: ") for line in said.splitlines()) == 1
    assert message in said


@pytest.mark.parametrize("flag", ["--p99-ms", "--step-s", "--rate-rps", "--max-errors"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_no_number_is_without_an_end(flag: str, value: str) -> None:
    done = CliRunner().invoke(app, ["tune", "policy.yaml", flag, value])
    assert done.exit_code == 2
    assert f"Invalid value for '{flag}'" in done.output


def test_a_repository_without_a_limit_or_with_foreign_rows_is_one_line(
    model: tuple[Path, Path], tmp_path: Path
) -> None:
    done = tune(model)
    assert done.returncode == 3
    assert "there is no limit to tune for; add one, or give --p99-ms" in done.stderr
    other = tmp_path / "golden.npz"
    np.savez(other, **{"input.Y": np.zeros((4, 2), np.float32)})
    done = tune((model[0], other), "--p99-ms", "10")
    assert done.returncode == 3
    assert "has no input.X, which digits needs; add it" in done.stderr
    done = tune((tmp_path, other), "--p99-ms", "10")
    assert done.returncode == 2
    assert "0 of its folders hold a config.pbtxt, and one must" in done.stderr


def test_a_resized_config_keeps_what_was_written_besides(model: tuple[Path, Path]) -> None:
    text = (model[0] / "digits" / "config.pbtxt").read_text()
    config = model_config_text.from_text(text, what="config.pbtxt")
    assert [one.batch_size for one in config.model_warmup] == [1, 32]
    for batch, warm in ((8, [1, 8]), (1, [1, 1]), (64, [1, 64])):
        wanted = Setting(max_batch_size=batch, instances=3, queue_delay_us=250, threads=2)
        made = resized(config, wanted)
        assert setting_of(made) == wanted
        assert setting_of(resized(replace(config, instance_group=()), wanted)) == wanted
        assert [one.batch_size for one in made.model_warmup] == warm
        assert replace(made, model_warmup=config.model_warmup) == replace(
            config,
            max_batch_size=batch,
            instance_group=made.instance_group,
            dynamic_batching=made.dynamic_batching,
            parameters=made.parameters,
        )
