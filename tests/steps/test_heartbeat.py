import json
import time
from pathlib import Path

import pytest

from tidegate.steps import heartbeat


def test_long_work_is_reported_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_PROGRESS_FILE", str(tmp_path / "progress"))
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.05)
    with heartbeat.beating("optimize", "converting"):
        time.sleep(0.3)
    lines = (tmp_path / "progress").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert messages[0] == "converting"
    assert messages[1].startswith("still converting (0 s)")
    time.sleep(0.15)
    assert len((tmp_path / "progress").read_text().splitlines()) == len(lines)
