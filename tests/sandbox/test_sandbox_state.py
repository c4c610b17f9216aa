"""The state folder: what is written is read back, and what a disk says becomes one line."""

import errno
import json
from pathlib import Path

import pytest

from tidegate.errors import ConflictError, UnavailableError, UsageError
from tidegate.sandbox.state import Holder, Part, State, StateDirectory, explained


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    made = StateDirectory(tmp_path / "state")
    made.create()
    return made


def state() -> State:
    part = Part(name="envoy", state="Running", pid=1, create_time=2.5, ports={"ingress": 20000})
    return State(
        tidegate="1", sandbox_id="x", phase="Ready", pid=3, create_time=4.5, since=5.0, parts=[part],
        environment={"A": "it's"},
    )  # fmt: skip


def test_a_state_is_read_back_as_it_was_written(directory: StateDirectory) -> None:
    directory.write(state())
    assert directory.read() == state()


def test_there_is_no_state_before_the_first(directory: StateDirectory) -> None:
    assert directory.read() is None
    assert not directory.is_held()


def test_a_state_of_another_format_is_refused_with_the_remedy(directory: StateDirectory) -> None:
    directory.write(state())
    file = directory.root / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(
        ConflictError, match="another tidegate version; run `tidegate sandbox down`"
    ):
        directory.read()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_half_a_state_is_refused_with_the_remedy(directory: StateDirectory, text: str) -> None:
    (directory.root / "state.json").write_text(text)
    with pytest.raises(ConflictError, match="tidegate sandbox down"):
        directory.read()


def test_only_one_holds_the_folder(directory: StateDirectory) -> None:
    first = Holder(pid=1, create_time=2.0, sandbox_id="first")
    directory.acquire(first)
    assert directory.is_held()
    other = StateDirectory(directory.root)
    with pytest.raises(ConflictError, match="another sandbox holds"):
        other.acquire(Holder(pid=3, create_time=4.0, sandbox_id="other"))
    assert other.holder() == first
    directory.release()
    assert not directory.is_held()


def test_a_state_that_nobody_will_repair_is_forgotten(directory: StateDirectory) -> None:
    (directory.root / "state.json").write_text("{")
    directory.forget_unreadable()
    assert directory.read() is None


def test_a_full_disk_is_one_line_that_asks_to_try_again() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    wanted = "no space left on the disk of /state; free some"
    with pytest.raises(UnavailableError, match=wanted), explained(Path("/state")):
        raise full


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot hold a sandbox: Not a directory; pass another"):
        StateDirectory(tmp_path / "file" / "state").create()


def test_the_environment_survives_a_shell(directory: StateDirectory) -> None:
    directory.write_environment({"A": "it's", "B": "two words"})
    assert directory.env_file.read_text() == "export A='it'\"'\"'s'\nexport B='two words'\n"
