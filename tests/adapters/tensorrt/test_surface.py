"""Every call to TensorRT is one that 10.x and 11.x have: their real bindings judge it, without a GPU.

`make test-tensorrt` fetches both bindings (`scripts/setup bindings`); without them these are skipped.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.tensorrt.surface import libraries
from tidegate.adapters.served_forms.tensorrt_plan import TYPES

ROOT = Path(__file__).parents[3]
MAJORS = (10, 11)
SHARED = Path(os.environ.get("TIDEGATE_SHARED", "/nowhere")) / "data" / "tensorrt_enums.json"
SOURCES = [
    *sorted((ROOT / "src/tidegate/adapters/tensorrt").glob("*.py")),
    ROOT / "src/tidegate/adapters/served_forms/tensorrt_plan.py",
]


@pytest.fixture(scope="session", params=MAJORS)
def play(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The scenes on the bindings of one major: what came of each."""
    major: int = request.param
    bindings = ROOT / ".tidegate" / "tensorrt" / str(major)
    if not (bindings / "tensorrt_bindings").is_dir():
        pytest.skip(f"no bindings of TensorRT {major} here; sh scripts/setup bindings")
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler for libraries that make nothing")
    folder = libraries(tmp_path_factory.mktemp(f"libraries{major}"), major)

    environment = os.environ | {
        "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": f"{bindings}:{ROOT}:{ROOT / 'src'}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.adapters.tensorrt.playing"],
        env=environment, capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    played = json.loads(done.stdout)

    def scene(name: str) -> Any:
        return played[name]

    scene.major = major  # type: ignore[attr-defined]
    return scene


def test_all_that_a_policy_says_reaches_the_builder(play: Any) -> None:
    found = play("every_flag")["told"]
    assert (found["plan"], found["timings"]) == ("a plan", "new timings")
    assert found["calls"] == [
        "builder_optimization_level(5,)",
        "profiling_verbosity('DETAILED',)",
        f"set_memory_pool_limit('WORKSPACE', {64 << 20})",
        "clear_flag('TF32',)",
        "set_flag('VERSION_COMPATIBLE',)",
        "hardware_compatibility_level('AMPERE_PLUS',)",
        "create_timing_cache(b'old timings',)",
        "set_timing_cache('ITimingCache', False)",
        "add_optimization_profile('IOptimizationProfile',)",
        "get_timing_cache()",
    ]
    assert found["shapes"] == [["X", [1, 4], [8, 4], [32, 4]]]
    assert found["monitor"] == ["IProgressMonitor"]


def test_the_network_is_strongly_typed_on_10_and_on_11(play: Any) -> None:
    strongly_typed = {10: 1 << 1, 11: 1 << 0}[play.major]  # the enum lost its first member
    assert play("every_flag")["told"]["network"] == [[strongly_typed]]


def test_nothing_is_said_that_the_policy_does_not_say(play: Any) -> None:
    assert play("defaults")["told"] == [
        "builder_optimization_level(3,)",
        "profiling_verbosity('DETAILED',)",
        "create_timing_cache(b'old timings',)",
        "set_timing_cache('ITimingCache', False)",
        "add_optimization_profile('IOptimizationProfile',)",
        "get_timing_cache()",
    ]


def test_a_level_that_this_version_lacks_is_one_line(play: Any) -> None:
    found = play("same_capability")
    if play.major == 10:  # it is of 10.9
        assert "has no hardware compatibility SAME_COMPUTE_CAPABILITY; write" in found["refused"]
    else:
        assert found == {"told": "a plan"}


def test_timings_of_another_gpu_are_not_taken(play: Any) -> None:
    calls = [call for call in play("foreign_timings")["told"] if "timing_cache(" in call]
    assert calls.pop() == "get_timing_cache()"
    assert calls == [
        "create_timing_cache(b'old timings',)",
        "set_timing_cache('ITimingCache', False)",
        "create_timing_cache(b'',)",
        "set_timing_cache('ITimingCache', False)",
    ]


def test_parser_errors_name_their_nodes_in_one_line(play: Any) -> None:
    first = "node 11 (GridSample3D '/motion/GridSample'): Plugin not found"
    assert play("parser_errors")["refused"] == (
        f"RejectedError: TensorRT cannot read m 1: {first}; node 77 (no operator): Plugin not found; "
        f"{first}, and 1 more"
    )


def test_a_build_that_makes_nothing_and_a_profile_that_is_not_taken_are_one_line(play: Any) -> None:
    assert (
        "RejectedError: TensorRT builds no plan of m 1: it says no reason"
        in play("no_plan")["refused"]
    )
    assert "takes no profile of m 1: it says no reason; correct" in play("bad_profile")["refused"]


def test_without_a_gpu_the_real_factory_makes_nothing_and_that_is_one_line(play: Any) -> None:
    refused = play("no_gpu")["refused"]
    assert refused.startswith("UsageError: TensorRT makes no builder here: ")
    assert "run optimize in the tensorrt image" in refused


def test_the_monitor_tells_shares_and_ends_a_build_that_is_late(play: Any) -> None:
    found = play("progress")["told"]
    assert found["told"] == [["build", 0.0], ["build", 0.5], ["build > tactics", 0.5]]
    assert (found["go_on"], found["late"], found["is_late"]) == (True, False, True)


def test_the_log_keeps_errors(play: Any) -> None:
    assert play("logged")["told"] == ["ERROR", "INTERNAL_ERROR"]


def test_a_loaded_plan_tells_its_tensors_profiles_layers_and_memory(play: Any) -> None:
    found = play("loaded_plan")["told"]
    assert found["inputs"] == [{"name": "X", "dtype": "FP16", "shape": [-1, 4]}]
    assert [(t["name"], t["dtype"]) for t in found["outputs"]] == [
        ("scores", "FP16"),
        ("label", "INT64"),
    ]
    assert found["profiles"] == [{"X": {"min": [1, 4], "opt": [8, 4], "max": [32, 4]}}]
    assert (found["layers"], found["memory"]) == ('{"Layers": []}', 1024)


def test_the_real_enums_are_those_of_the_recorded_lists(play: Any) -> None:
    """The lists are of 10.3, 10.16 and 11.1; what both sides of ours have, ours has."""
    if not SHARED.is_file():
        pytest.skip("TIDEGATE_SHARED names no folder with the lists")
    recorded = json.loads(SHARED.read_text())
    found = play("enums")["told"]
    near = {10: ("10.3", "10.16"), 11: ("11.1",)}[play.major]
    for kind in set(found) - {"version"}:
        in_all = set.intersection(*(set(recorded[version][kind]) for version in near))
        assert in_all <= set(found[kind]), kind


# -- the recorded lists by themselves


def used() -> dict[str, set[str]]:
    """Enum -> members, as they are written in the sources: trt.<Enum>.<member>."""
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            inner = node.value if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Attribute) and isinstance(inner, ast.Attribute):
                found.setdefault(inner.attr, set()).add(node.attr)
    return found


@pytest.mark.skipif(not SHARED.is_file(), reason="TIDEGATE_SHARED names no folder with the lists")
def test_every_member_of_an_enum_that_is_written_down_is_in_every_recorded_version() -> None:
    recorded, checked = json.loads(SHARED.read_text()), 0
    for version, lists in recorded.items():
        for kind, members in used().items():
            if kind in lists:
                assert members <= set(lists[kind]), (version, kind)
                checked += len(members)
    assert checked >= 3 * 7
    for lists in (recorded["10.16"], recorded["11.1"]):
        assert {"NONE", "AMPERE_PLUS", "SAME_COMPUTE_CAPABILITY"} == set(
            lists["HardwareCompatibilityLevel"]
        )
        assert set(TYPES) <= set(lists["DataType"])
