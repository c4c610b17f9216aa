"""The GPU as the driver tells it, plans and timings of earlier builds, and trtexec as a command."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters.tensorrt import device, plan_cache, trtexec
from tidegate.core.tensorrt.trtexec import Files, arguments
from tidegate.documents import Engine
from tidegate.errors import RejectedError, UsageError
from tidegate.policy import TensorRt

KEY = "a" * 64
DRIVER = """\
#include <string.h>
#include <stddef.h>
int cuInit(unsigned flags) { return %d; }
int cuDeviceGet(int *device, int ordinal) { *device = 0; return 0; }
int cuDeviceGetName(char *name, int n, int device) { strncpy(name, "NVIDIA H100 MIG 3g.40gb", n); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 40ul << 30; return 0; }
int cuDeviceGetAttribute(int *value, int of, int device) { *value = of == 75 ? 9 : 0; return 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
"""


def driver(folder: Path, code: int) -> str:
    """A real shared object with CUDA's own names."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler for a libcuda of its own")
    (folder / "cuda.c").write_text(DRIVER % code)
    target = folder / "libcuda.so.1"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(target), str(folder / "cuda.c")], check=True
    )
    return str(target)


def test_the_gpu_is_what_the_driver_says_a_slice_of_one_included(tmp_path: Path) -> None:
    found = device.gpu(driver(tmp_path, 0))
    assert (found.name, found.compute_capability) == ("NVIDIA H100 MIG 3g.40gb", "9.0")
    assert (found.memory_mib, found.driver) == (40 << 10, "12.6")


@pytest.mark.parametrize(
    ("code", "word"), [(100, "cuInit says no device"), (999, "says error 999")]
)
def test_a_driver_without_a_gpu_is_one_line(tmp_path: Path, code: int, word: str) -> None:
    with pytest.raises(UsageError, match=f"no GPU is here: .*{word}; run optimize on a GPU"):
        device.gpu(driver(tmp_path, code))


def test_no_driver_is_one_line() -> None:
    with pytest.raises(
        UsageError, match=r"no GPU is here: libnothing\.so: .*; run optimize on a GPU"
    ):
        device.gpu("libnothing.so")


# -- plans and timings


def plan(folder: Path, body: bytes = b"layers") -> Path:
    path = folder / "model.plan"
    path.write_bytes(b"ftrt" + bytes(20) + bytes((10, 7, 0, 23)) + body)
    return path


def engine(**other: Any) -> Engine:
    told = {"builder": "python", "tensorrt": "10.7.0.23", "key": KEY, "size_bytes": 34}
    return Engine.model_validate(told | other)


def test_a_cache_that_cannot_be_written_costs_no_build_and_says_why(tmp_path: Path) -> None:
    (root := tmp_path / "cache").write_text("no folder")
    trouble = plan_cache.keep(root, engine(), plan(tmp_path))
    assert trouble.startswith(f"cannot write {root / 'plans'}")
    trouble = plan_cache.keep_timings(root, "gpu.timings", b"timings")
    assert trouble.startswith(f"cannot write {root / 'gpu.timings'}: ")
    assert plan_cache.timing_file(root, "gpu.timings") is None
    assert (tmp_path / "model.plan").is_file()


def test_timings_that_cannot_be_put_in_place_leave_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "gpu.timings").mkdir()
    trouble = plan_cache.keep_timings(tmp_path, "gpu.timings", b"timings")
    assert trouble.startswith(f"cannot write {tmp_path / 'gpu.timings'}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.timings"]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A cache with one plan."""
    root = tmp_path / "cache"
    plan_cache.keep(root, engine(), plan(tmp_path))
    return root


def test_a_plan_is_found_under_its_key_and_no_other(kept: Path, tmp_path: Path) -> None:
    target = tmp_path / "found.plan"
    assert plan_cache.found(kept, KEY, target) == engine()
    assert target.read_bytes() == (tmp_path / "model.plan").read_bytes()
    assert plan_cache.found(kept, "b" * 64, target) is None
    assert not target.exists()


@pytest.mark.parametrize("wrong", ["cut", "changed", "moved", "record", "half", "version"])
def test_what_somebody_broke_is_no_hit(kept: Path, tmp_path: Path, wrong: str) -> None:
    folder, key = kept / "plans" / KEY, KEY
    if wrong == "cut":
        (folder / "model.plan").write_bytes((folder / "model.plan").read_bytes()[:-1])
    elif wrong == "changed":
        plan(folder, b"others")
    elif wrong == "moved":
        key = "b" * 64
        folder.rename(kept / "plans" / key)
    elif wrong == "record":
        (folder / "build.json").write_text("{")
    elif wrong == "half":
        (folder / "build.json").unlink()
    else:
        record = json.loads((folder / "build.json").read_text())
        record["build"]["tensorrt"] = "10.8.0.1"
        (folder / "build.json").write_text(json.dumps(record))
    target = tmp_path / "found.plan"
    assert plan_cache.found(kept, key, target) is None
    assert not target.exists()


def test_a_later_build_takes_the_place_of_an_earlier_one(kept: Path, tmp_path: Path) -> None:
    plan_cache.keep(kept, engine(seconds=2.0), plan(tmp_path, b"newer!"))
    found = plan_cache.found(kept, KEY, tmp_path / "found.plan")
    assert found is not None
    assert found.seconds == 2.0
    assert [p.name for p in (kept / "plans").iterdir()] == [KEY]


def test_nothing_is_kept_where_there_is_no_folder(tmp_path: Path) -> None:
    plan_cache.keep(None, engine(), plan(tmp_path))
    plan_cache.keep_timings(None, "t", b"x")
    assert plan_cache.found(None, KEY, tmp_path / "x") is None
    assert plan_cache.timings(None, "t") == b""
    assert [p.name for p in tmp_path.iterdir()] == ["model.plan"]


def test_timings_come_back_as_they_were_and_none_are_empty(tmp_path: Path) -> None:
    root = tmp_path / "new" / "cache"
    assert plan_cache.timings(root, "t.cache") == b""
    plan_cache.keep_timings(root, "t.cache", b"timings")
    plan_cache.keep_timings(root, "t.cache", b"")
    assert plan_cache.timings(root, "t.cache") == b"timings"
    assert [p.name for p in root.iterdir()] == ["t.cache"]


def test_trtexec_gets_a_file_in_a_folder_that_is_there(tmp_path: Path) -> None:
    assert plan_cache.timing_file(None, "t.cache") is None
    found = plan_cache.timing_file(tmp_path / "new" / "cache", "t.cache")
    assert found == tmp_path / "new" / "cache" / "t.cache"
    assert found.parent.is_dir()


# -- trtexec as a command


def command(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An executable that says trtexec's words."""
    path = folder / "trtexec"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("TIDEGATE_TRTEXEC", str(path))


def run(folder: Path, **wanted: Any) -> Any:
    told = TensorRt.model_validate(wanted)
    files = Files(onnx="m.onnx", plan=str(folder / "m.plan"))
    return trtexec.build(arguments(files, told, ()), told, folder / "m.plan", what="m 1")


SAVES = 'for a; do case $a in --saveEngine=*) echo plan > "${a#*=}";; esac; done'
PASSES = """echo 'Engine built in 1.5 sec.' >&2
echo '&&&& PASSED TensorRT.trtexec [TensorRT v100700] # trtexec'"""


def test_a_run_that_saves_and_passes_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path, f"{SAVES}\n{PASSES}", monkeypatch)
    told = run(tmp_path)
    assert told.seconds == 1.5
    assert (tmp_path / "m.plan").read_text() == "plan\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (PASSES, "it passes and writes none"),
        (f"{SAVES}; echo '[x] [E] Engine set up failed'; exit 1", "m 1: Engine set up failed"),
        ("kill -9 $$", "it exits -9 and names no error"),
    ],
)
def test_a_run_that_does_not_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    command(tmp_path, script, monkeypatch)
    with pytest.raises(RejectedError, match=message):
        run(tmp_path)


def test_a_run_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path, "exec sleep 60", monkeypatch)
    with pytest.raises(
        RejectedError, match=r"within 0\.2 s; raise optimize\.tensorrt\.build_timeout_s"
    ):
        run(tmp_path, build_timeout_s=0.2)


def test_no_trtexec_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEGATE_TRTEXEC", str(tmp_path / "absent"))
    with pytest.raises(UsageError, match=r"no .*absent is here; set TIDEGATE_TRTEXEC"):
        run(tmp_path)
