"""docs/examples.md: every example has a line, and a line that names a test is true of that test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^\| `([\w-]+)` \| (.+) \| (.+) \|$")
NOT_HERE = re.compile(r"not here: .{10,}")


def lines() -> dict[str, tuple[str, str]]:
    """Example -> what is seen, and who runs it or why nobody can."""
    text = (ROOT / "docs" / "examples.md").read_text()
    found = [match.groups() for line in text.splitlines() if (match := LINE.match(line))]
    assert len({name for name, *_ in found}) == len(found)
    return {name: (seen, run) for name, seen, run in found}


FOLDERS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/policy.yaml"))


def test_every_example_has_one_line_and_no_line_is_of_a_folder_that_is_gone() -> None:
    assert sorted(lines()) == FOLDERS


@pytest.mark.parametrize("name", FOLDERS)
def test_who_runs_an_example_names_it_and_what_cannot_run_says_why(name: str) -> None:
    seen, run = lines()[name]
    named = re.findall(r"`(tests/[\w/]+\.py)`", run)
    if run.startswith("not here"):
        assert NOT_HERE.match(run)
        assert seen == "-"
    elif run != "`make demo`":
        text = (ROOT / named[0]).read_text()
        assert f'"{name}"' in text
        assert "pytest.mark.long" in text
        assert seen != "-"
    assert all((ROOT / path).is_file() for path in named)
