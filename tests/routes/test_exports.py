"""A framework in a process of its own: what it is told, and what comes back when it fails."""

from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.sandbox.real_servers import eventually
from tidegate.adapters.flavors.exports.process import cause, exported, numbered, ordered, run
from tidegate.errors import RejectedError

ROWS = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((2, 1), np.float32)}


@pytest.mark.parametrize("program", ["keras_on_torch", "tensorflow_graph"])
def test_what_does_not_load_is_one_line_whether_the_file_or_the_framework_is_missing(
    program: str, tmp_path: Path
) -> None:
    with pytest.raises(RejectedError, match=r"^does not load: .+") as caught:
        exported(program, tmp_path / "model.keras", tmp_path, 18, ROWS)
    assert "\n" not in str(caught.value)


def test_a_program_that_says_nothing_is_told_by_its_own_last_line(tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="No module named"):
        exported("no_such_program", tmp_path, tmp_path, 18, ROWS)


def test_a_program_that_is_killed_is_told_by_its_signal_and_not_by_what_it_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "keras.py").write_text(
        "import os\nprint('all is well', flush=True)\nos.kill(os.getpid(), 9)"
    )
    with pytest.raises(RejectedError, match=r"not exported: its process was killed by signal 9$"):
        exported("keras_on_torch", tmp_path / "model.keras", tmp_path, 18, ROWS)


KILLED = "import os\nprint('all is well', flush=True)\nos.kill(os.getpid(), 9)"
LEFT = """\
import pathlib, subprocess
quiet = subprocess.DEVNULL
compiler = subprocess.Popen(["sleep", "600"], stdin=quiet, stdout=quiet, stderr=quiet)
pathlib.Path(__file__).with_name("pid").write_text(str(compiler.pid))
raise ValueError("no kernel for that")
"""


def compiled(folder: Path, torch: str, within_s: float = 60.0) -> None:
    """The program of AOTInductor, with a torch that does as it is told here."""
    (folder / "torch.py").write_text(torch)
    arguments = [str(folder / "program.pt2"), str(folder / "model.pt2"), '{"device": "cpu"}']
    run("aoti_package", arguments, {"PYTHONPATH": str(folder)}, done="compiled", within_s=within_s)


def test_a_compilation_that_is_killed_or_takes_too_long_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(
        RejectedError, match=r"^is not compiled: its process was killed by signal 9$"
    ):
        compiled(tmp_path, KILLED)
    with pytest.raises(RejectedError, match=r"^is not compiled after 0\.01 s$"):
        compiled(tmp_path, KILLED, within_s=0.01)


def test_what_a_program_has_started_ends_with_it(tmp_path: Path) -> None:
    with pytest.raises(
        RejectedError, match=r"^cannot be compiled by AOTInductor: no kernel for th"
    ):
        compiled(tmp_path, LEFT)
    compiler = int((tmp_path / "pid").read_text())
    eventually(lambda: has_ended(compiler))


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_several_inputs_are_asked_in_the_models_order_and_by_its_names() -> None:
    assert list(ordered(ROWS, [("b", "float32"), ("a", "float32")])) == ["b", "a"]
    with pytest.raises(
        RejectedError, match=r"takes b, c, the golden data have a, b: name the arrays"
    ):
        ordered(ROWS, [("b", "float32"), ("c", "float32")])


def test_the_one_input_is_called_as_golden_data_call_it_and_is_of_the_models_own_type() -> None:
    whole = {"pixels": np.ones((2, 3), np.int64)}
    ((name, rows),) = ordered(whole, [("keras_tensor_17", "float32")]).items()
    assert (name, str(rows.dtype)) == ("pixels", "float32")
    assert numbered(1) == ("output",)
    assert numbered(2) == ("output_0", "output_1")


def test_what_an_error_began_with_is_told_and_not_what_was_made_of_it() -> None:
    wrapped = RuntimeError("many lines of advice")
    wrapped.__cause__ = ValueError("\n  shape (3,) has no rows\nadvice")
    assert cause(wrapped) == "shape (3,) has no rows"
    assert cause(KeyboardInterrupt()) == "KeyboardInterrupt"
