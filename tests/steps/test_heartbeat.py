import json
import re
import time
from pathlib import Path

import pytest

from tidegate.steps import heartbeat


def test_long_work_is_reported_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_PROGRESS_FILE", str(tmp_path / "progress"))
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.05)
    told = tmp_path / "progress"
    with heartbeat.beating("optimize", "converting"):
        while told.read_text().count("\n") < 2:
            time.sleep(0.01)
    lines = told.read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert messages[0] == "converting"
    assert re.fullmatch(r"still converting \(\d+ s\)", messages[1])
    time.sleep(0.15)
    assert len(told.read_text().splitlines()) == len(lines)
