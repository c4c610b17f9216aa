"""What the sandbox's Triton, which has no platform torch_aoti, reads of a repository that names it."""

from pathlib import Path

import pytest

from tidegate.adapters.model_config_text import from_text
from tidegate.sandbox import packages

PLAIN = 'name: "plain"\nbackend: "pytorch"\n'
PACKAGED = 'name: "packaged"\nbackend: "pytorch"\nplatform: "torch_aoti"\nmax_batch_size: 0\n'


def written(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (root / name / "1").mkdir(parents=True)
        (root / name / "1" / "model.pt2").write_bytes(b"package")
        (root / name / "config.pbtxt").write_text(text)
    return root


def test_a_server_reads_a_copy_without_the_platform_and_what_ships_stays_as_it_is(
    tmp_path: Path,
) -> None:
    models = written(tmp_path / "models", plain=PLAIN, packaged=PACKAGED)
    given = [f"--model-repository={models}", "--http-port=1"]
    repository, port = packages.with_readable(given, tmp_path / "copy")
    assert (repository, port) == (f"--model-repository={tmp_path / 'copy'}", "--http-port=1")
    read = from_text((tmp_path / "copy" / "packaged" / "config.pbtxt").read_text(), what="config")
    assert (read.backend, read.platform, read.default_model_filename) == (
        "pytorch",
        "",
        "model.pt2",
    )
    assert (tmp_path / "copy" / "plain" / "config.pbtxt").read_text() == PLAIN
    assert (tmp_path / "copy" / "packaged" / "1" / "model.pt2").read_bytes() == b"package"
    assert (models / "packaged" / "config.pbtxt").read_text() == PACKAGED


def test_a_repository_without_packages_is_served_from_where_it_is(tmp_path: Path) -> None:
    given = [f"--model-repository={written(tmp_path / 'models', plain=PLAIN)}"]
    assert packages.with_readable(given, tmp_path / "copy") == given
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("broken", [PACKAGED.encode() + b"}", PACKAGED.encode() + b"# caf\xe9\n"])
def test_a_config_that_does_not_parse_is_left_for_the_server_to_refuse(
    tmp_path: Path, broken: bytes
) -> None:
    models = written(tmp_path / "models", packaged=PACKAGED, plain=PLAIN)
    (models / "plain" / "config.pbtxt").write_bytes(b"# caf\xe9\n" + PLAIN.encode())
    (models / "packaged" / "config.pbtxt").write_bytes(broken)
    packages.readable(models)
    assert (models / "packaged" / "config.pbtxt").read_bytes() == broken
