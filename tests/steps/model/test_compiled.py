"""A package as configure finds it: by its own bytes, with what is to be said of it."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.report.a_release import optimized
from tidegate.core import lint
from tidegate.documents import OptimizedModel, Package
from tidegate.errors import DocumentError, RejectedError
from tidegate.policy import Policy
from tidegate.steps import compiled

SAID = {"TIDEGATE_TORCH": "2.11.0", "AOTI_DEVICE_KEY": "cpu", "AOTI_CPU_ISA": "AVX2"}


def model(**changes: Any) -> OptimizedModel:
    told = {
        "torch": "2.11.0", "device": "cpu", "cpu": "avx2", "vectors": "avx2", "machine": "x86_64",
        "compiler": "g++ 12", "key": "k", "seconds": 1.0, "size_bytes": 1,
    }  # fmt: skip
    package = Package.model_validate(told | changes)
    update = {"package": package, "model_file": "model.pt2", "backend": "pytorch"}
    return optimized().model_copy(update=update)


def tree(folder: Path, **said: str) -> Path:
    """As torch 2.13 lays a package out."""
    with zipfile.ZipFile(folder / "model.pt2", "w") as archive:
        where = "model/data/aotinductor/model/c0.wrapper_metadata.json"
        archive.writestr(where, json.dumps({**SAID, **said}))
    return folder


def policy(**triton: Any) -> Policy:
    return Policy.model_validate({"name": "m", "model": {"uri": "models:/m/1"}, "triton": triton})


def test_a_package_is_what_its_bytes_say(tmp_path: Path) -> None:
    assert compiled.package(model(), tree(tmp_path)) == lint.Package(torch="2.11.0", device="cpu")
    assert compiled.package(optimized(), tmp_path) is None


@pytest.mark.parametrize("said", [{"TIDEGATE_TORCH": "2.13.0"}, {"AOTI_DEVICE_KEY": "cuda"}])
def test_a_document_that_says_otherwise_is_of_another_run(
    tmp_path: Path, said: dict[str, str]
) -> None:
    with pytest.raises(DocumentError, match="use the folder and the document of one run"):
        compiled.package(model(), tree(tmp_path, **said))


def test_a_file_that_is_no_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"a program, or half of one")
    with pytest.raises(RejectedError, match=r"^model\.pt2 is no AOTInductor package"):
        compiled.package(model(), tmp_path)


def test_what_the_server_does_not_do_and_which_machines_it_needs_is_told() -> None:
    told = [one.message for one in compiled.notes(model(), policy())]
    assert len(told) == 1
    assert told[0].startswith("Triton batches no AOTInductor packages yet")
    more = [one.message for one in compiled.notes(model(cpu="native"), policy(threads=2))]
    assert "exactly the machine that optimize ran on" in more[1]
    assert "set OMP_NUM_THREADS" in more[2]
    assert compiled.notes(optimized(), policy(threads=2)) == ()
