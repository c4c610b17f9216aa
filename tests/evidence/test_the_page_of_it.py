"""docs/what-is-not-known.md names a test for every row, and each of them is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "what-is-not-known.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/.]+\.py::\w+)`", PAGE))))
def test_a_test_that_the_page_names_exists(name: str) -> None:
    file, _, test = name.partition("::")
    path = ROOT / file if "/" in file else Path(__file__).with_name(file)
    assert f"def {test}(" in path.read_text(encoding="utf-8")


def test_every_row_names_a_test_or_another_row() -> None:
    bare = [row for row in ROWS[1:] if ".py" not in row]
    assert len(ROWS) > 25
    assert [
        row for row in bare if "as in the first table" not in row and "| test |" not in row
    ] == []
