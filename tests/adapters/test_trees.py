import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.adapters import trees
from tidegate.errors import DocumentError, UnavailableError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def digest(root: Path) -> str:
    return trees.digest_of(trees.files_of(root))


def test_a_digest_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", a="1", sub__b="2")
    other = tree(tmp_path / "other", sub__b="2", a="1")
    os.utime(other / "a", (0, 0))
    assert digest(one) == digest(other)
    assert digest(one) != digest(tree(tmp_path / "third", a="1", sub__c="2"))
    assert digest(one) != digest(tree(tmp_path / "fourth", a="1", sub__b="3"))


def test_a_folder_is_built_whole(tmp_path: Path) -> None:
    target = tree(tmp_path / "target", old="x")
    with trees.building(target) as temporary:
        tree(temporary, new="y")
        assert [p.name for p in target.iterdir()] == ["old"]
    assert [p.name for p in target.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


def test_a_folder_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def build() -> None:
        with trees.building(tmp_path / "target") as temporary:
            tree(temporary, half="x")
            raise KeyError

    with pytest.raises(KeyError):
        build()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(small_disk: Path) -> None:
    with (
        pytest.raises(UnavailableError, match="No space left on device; free space or choose"),
        trees.building(small_disk / "target") as temporary,
    ):
        (temporary / "big").write_bytes(b"x" * 100_000)
    assert list(small_disk.iterdir()) == []


def test_a_changed_folder_is_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "t", a="1")
    before = digest(root)
    trees.require(root, before, what="tree")
    tree(root, a="2")
    with pytest.raises(DocumentError, match="use the folder and the document of one run"):
        trees.require(root, before, what="tree")
    with pytest.raises(DocumentError, match="no folder"):
        trees.require(tmp_path / "absent", before, what="tree")
