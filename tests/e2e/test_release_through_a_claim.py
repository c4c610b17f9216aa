"""A release through a claim: publish writes where it is mounted, predictors read it by its name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Home, running
from tests.e2e.test_release import shares, source_of

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Home, Path]]:
    """A cluster whose claim `models` is a folder here, for the steps and for its predictors."""
    folder = tmp_path / "volume"
    folder.mkdir()
    monkeypatch.setenv("TIDEGATE_CLAIM_MOUNTS", f"models={folder}")
    with running(tmp_path / "home", "Knative") as home:
        home.environment["TIDEGATE_STORAGE_URI"] = "pvc://models/tidegate"
        yield home, folder


def test_a_version_is_released_from_a_claim(claimed: tuple[Home, Path]) -> None:
    home, folder = claimed
    done = home.release("models:/tiny/1")
    assert done.returncode == 0, done.stderr
    (serving,) = shares(home)
    assert source_of(serving).startswith("pvc://models/tidegate/tiny/1-")
    assert len(list(folder.glob("tidegate/tiny/1-*.published.json"))) == 1
    assert "config.pbtxt is not shown" not in done.stderr
