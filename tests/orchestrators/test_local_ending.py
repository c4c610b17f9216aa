"""How a local release is said to have ended, from what its run left in its folder."""

import json
from pathlib import Path

from tidegate.documents import Result
from tidegate.orchestrators.local_ending import ended
from tidegate.orchestrators.watch import Watch


def watch(folder: Path, *, due: str = "", **said: str) -> Watch:
    """A run of which each of these steps has said this last, and whose trigger has decided so."""
    (folder / "artifacts").mkdir()
    path = folder / "progress.jsonl"
    lines = [{"step": step, "message": text, "at_s": 0.0} for step, text in said.items()]
    lines += [{"step": "trigger", "message": "finished", "due": due, "at_s": 0.0}] if due else []
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = Watch(path, quiet=True)
    made.show()
    return made


def test_a_schedule_that_found_nothing_new_is_done(tmp_path: Path) -> None:
    run = watch(tmp_path, due="NO", trigger="version 3 was released before")
    told = ended(tmp_path, run, 0)
    assert (told.result, told.exit_code) == (Result.UNCHANGED, 0)
    assert told.reason == "version 3 was released before"


def test_a_schedule_that_found_something_new_and_released_nothing_is_not_done(
    tmp_path: Path,
) -> None:
    told = ended(tmp_path, watch(tmp_path, due="YES", trigger="version 3 is new"), 0)
    assert (told.result, told.exit_code) == (Result.DIED, 1)


def test_a_release_that_ends_well_without_a_report_is_not_known_to_have_ended_well(
    tmp_path: Path,
) -> None:
    told = ended(tmp_path, watch(tmp_path, promote="all of production is on version 3"), 0)
    assert (told.result, told.exit_code) == (Result.DIED, 1)
    assert "ended with 0" in told.reason
