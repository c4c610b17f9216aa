"""trtexec's command line, and its words as 10.3, 10.11 and 10.13 wrote them for their users."""

from typing import Any

import pytest

from tidegate.core.tensorrt.trtexec import Files, arguments, told
from tidegate.documents import ShapeRange
from tidegate.policy import TensorRt

FILES = Files(onnx="m.onnx", plan="m.plan")
X = ShapeRange(min=(1, 3, 224, 224), opt=(8, 3, 224, 224), max=(32, 3, 224, 224))
# What one of the two majors has dropped; facts of both are in docs/tensorrt.md.
GONE = (
    "--fp16", "--bf16", "--int8", "--fp8", "--int4", "--best", "--calib", "--precisionConstraints",
    "--layerPrecisions", "--layerOutputTypes", "--weightless", "--restricted", "--workspace",
    "--buildOnly", "--explicitBatch",
)  # fmt: skip


def words(profiles: Any = (), **wanted: Any) -> tuple[str, ...]:
    return arguments(FILES, TensorRt.model_validate(wanted), profiles)


def test_the_smallest_command_is_strongly_typed_and_measures_nothing() -> None:
    assert words() == (
        "--onnx=m.onnx",
        "--saveEngine=m.plan",
        "--skipInference",
        "--stronglyTyped",
        "--profilingVerbosity=detailed",
        "--builderOptimizationLevel=3",
    )


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"workspace_mib": 4096}, "--memPoolSize=workspace:4096"),
        ({"hardware": "ampere_plus"}, "--hardwareCompatibilityLevel=ampere+"),
        (
            {"hardware": "same_compute_capability"},
            "--hardwareCompatibilityLevel=sameComputeCapability",
        ),
        ({"version_compatible": True}, "--versionCompatible"),
        ({"tf32": False}, "--noTF32"),
        ({"optimization_level": 5}, "--builderOptimizationLevel=5"),
    ],
)
def test_each_field_of_the_policy_has_its_word(wanted: Any, word: str) -> None:
    assert word in words(**wanted)
    assert word not in words()


def test_one_profile_is_given_without_a_number_and_several_with() -> None:
    assert words([{"x": X}])[-3:] == (
        "--minShapes=x:1x3x224x224", "--optShapes=x:8x3x224x224", "--maxShapes=x:32x3x224x224",
    )  # fmt: skip
    both = words([{"x": X}, {"x": X}])
    assert [word for word in both if word.startswith("--profile=")] == [
        "--profile=0",
        "--profile=1",
    ]
    assert both.index("--profile=1") == both.index("--profile=0") + 4


def test_no_word_is_one_that_a_major_has_dropped() -> None:
    every = words(
        [{"x": X}], workspace_mib=1, hardware="ampere_plus", version_compatible=True, tf32=False
    )
    assert not [word for word in every if word.partition("=")[0] in GONE]


def test_timings_are_kept_only_where_there_is_a_file_for_them() -> None:
    kept = Files(onnx="m", plan="p", timing_cache="t.cache")
    assert "--timingCacheFile=t.cache" in arguments(kept, TensorRt(), ())
    assert not any("timing" in word for word in words())


PASSED = """\
&&&& RUNNING TensorRT.trtexec [TensorRT v101100] [b33] # trtexec --onnx=m.onnx --saveEngine=m.plan
[05/23/2025-15:01:22] [I] === Model Options ===
[05/23/2025-15:01:22] [I] Format: ONNX
[05/23/2025-15:02:33] [I] Engine built in 70.4321 sec.
&&&& PASSED TensorRT.trtexec [TensorRT v101100] [b33] # trtexec --onnx=m.onnx --saveEngine=m.plan
"""
AT = "[06/13/2025-19:41:36] [E] [TRT]"
PARSER = f"""\
&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # /usr/src/tensorrt/bin/trtexec --onnx=ess.onnx
{AT} ModelImporter.cpp:961: While parsing node number 267 [Conv -> "/head/Conv_output_0"]:
[06/13/2025-19:41:36] [E] [TRT] parsers/onnx/ModelImporter.cpp:964: --- Begin node ---
input: "/head/Reshape_output_0"
name: "/head/Conv"
op_type: "Conv"
[06/13/2025-19:41:36] [E] [TRT] parsers/onnx/ModelImporter.cpp:965: --- End node ---
{AT} ModelImporter.cpp:967: ERROR: onnxOpCheckers.cpp:818 In function checkFallbackPluginImporter:
[6] creator && "Plugin not found, are the plugin name, version, and namespace correct?"
[06/13/2025-19:41:36] [E] Failed to parse onnx file
&&&& FAILED TensorRT.trtexec [TensorRT v100300] # /usr/src/tensorrt/bin/trtexec --onnx=ess.onnx
"""
SET_UP = """\
&&&& RUNNING TensorRT.trtexec [TensorRT v101303] [b9] # ./trtexec --onnx=a.onnx
[09/28/2025-09:21:51] [E] Cuda failure: no CUDA-capable device is detected
[09/28/2025-09:21:51] [E] Engine set up failed
&&&& FAILED TensorRT.trtexec [TensorRT v101303] [b9] # ./trtexec --onnx=a.onnx
"""


def test_a_run_that_passed_says_its_seconds() -> None:
    found = told(PASSED, 0)
    assert (found.passed, found.seconds) == (True, 70.4321)
    assert found.reason == ""


@pytest.mark.parametrize("output", ["", PASSED.replace("PASSED", "RUNNING"), PARSER])
def test_exit_0_without_its_word_is_no_pass(output: str) -> None:
    assert not told(output, 0).passed


def test_its_word_without_exit_0_is_no_pass() -> None:
    assert not told(PASSED, 1).passed


def test_a_parser_error_names_the_node_and_why() -> None:
    assert told(PARSER, 1).reason == (
        "the parser stops at node 267 (Conv, output '/head/Conv_output_0'): "
        'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
    )


def test_other_errors_are_told_in_its_own_words() -> None:
    found = told(SET_UP, 1)
    assert found.reason == "Cuda failure: no CUDA-capable device is detected; Engine set up failed"
    assert told("nothing", 137).reason == "it exits 137 and names no error"
