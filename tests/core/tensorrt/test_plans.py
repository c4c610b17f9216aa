"""What is known of a plan without a GPU: its version, its key, its layers, and how far its build is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.tensorrt import provider
from tidegate.core.tensorrt.build_key import Gpu, build_key, timing_cache_name
from tidegate.core.tensorrt.build_progress import Progress
from tidegate.core.tensorrt.inspection import inspected, precision
from tidegate.core.tensorrt.operators import Node, refused
from tidegate.core.tensorrt.plan_version import parsed, plan_version, shown
from tidegate.core.tensorrt.plan_version import refused as refused_version
from tidegate.documents import ShapeRange, Tensor
from tidegate.errors import RejectedError
from tidegate.policy import TensorRt

COMPATIBLE = ("--backend-config=tensorrt,version-compatible=true",)


# -- version


@given(st.tuples(*[st.integers(0, 255)] * 4), st.binary(max_size=50))
def test_the_version_is_read_from_four_bytes_whatever_follows(version: Any, body: bytes) -> None:
    head = b"ftrt" + bytes(20) + bytes(version) + body
    assert plan_version(head, what="p") == version
    assert parsed(shown(version)) == version


@given(st.binary(max_size=64))
def test_anything_else_is_no_plan(content: bytes) -> None:
    if content[:8] == b"ftrt\0\0\0\0" and len(content) >= 28:
        return
    with pytest.raises(RejectedError, match="p is no TensorRT plan"):
        plan_version(content, what="p")


@pytest.mark.parametrize(
    ("plan", "serving", "arguments", "compatible", "message"),
    [
        ("10.7.0.23", "10.7.0", (), False, ""),
        ("10.7.0.23", "10.7.0.23", (), False, ""),
        ("10.7.0.23", "10.7.0.22", (), False, "the serving image has 10.7.0.22; build it in the"),
        ("10.7.0.23", "10.8.0", (), False, "the serving image has 10.8.0; build it in the image"),
        ("10.7.0.23", "10.8.0", COMPATIBLE, False, "build it in the image that serves it"),
        ("10.7.0.23", "10.8.0", COMPATIBLE, True, ""),
        ("10.7.0.23", "10.8.0", (), True, "add --backend-config=tensorrt,version-compatible=true"),
        ("10.7.0.23", "10.6.0", COMPATIBLE, True, "no newer minor of the same major"),
        ("10.7.0.23", "11.1.0", COMPATIBLE, True, "no newer minor of the same major"),
        ("10.7.0.23", "", (), False, "not known; write triton.tensorrt"),
        ("", "10.7.0", (), False, "is no version; build it again"),
    ],
)
def test_a_plan_loads_in_its_own_version_alone_unless_both_sides_say_otherwise(
    plan: str, serving: str, arguments: Any, compatible: bool, message: str
) -> None:
    found = refused_version(plan, serving, arguments, compatible=compatible)
    assert message in found
    assert bool(message) == bool(found)


# -- key

GPU = Gpu(name="NVIDIA L4", compute_capability="8.9", memory_mib=23034, driver="12.6")
SPAN = ShapeRange(min=(1, 4), opt=(8, 4), max=(8, 4))
SAME = {
    "graph_digest": "sha256:a", "gpu": GPU, "tensorrt": "10.7.0", "wanted": TensorRt(),
    "profiles": [{"X": SPAN}],
}  # fmt: skip


def key(**other: Any) -> str:
    return build_key(**{**SAME, **other})


@pytest.mark.parametrize(
    "other",
    [
        {"graph_digest": "sha256:b"},
        {"gpu": Gpu(name="NVIDIA L40", compute_capability="8.9", memory_mib=23034, driver="12.6")},
        {"gpu": Gpu(name="NVIDIA L4", compute_capability="8.9", memory_mib=11517, driver="12.6")},
        {"gpu": Gpu(name="NVIDIA L4", compute_capability="8.9", memory_mib=23034, driver="12.8")},
        {"tensorrt": "10.7.1"},
        {"profiles": []},
        {"profiles": [{"X": SPAN.model_copy(update={"max": (16, 4)})}]},
        *(
            {"wanted": TensorRt.model_validate(told)}
            for told in (
                {"builder": "trtexec"}, {"workspace_mib": 1}, {"optimization_level": 5},
                {"hardware": "ampere_plus"}, {"version_compatible": True}, {"tf32": False},
            )
        ),
    ],
)  # fmt: skip
def test_whatever_makes_another_plan_makes_another_key(other: Any) -> None:
    assert key(**other) != key()


@pytest.mark.parametrize(
    "told",
    [{"timing_cache": False}, {"reuse": False}, {"engine_cache": ""}, {"build_timeout_s": 1.0}],
)
def test_where_things_are_kept_makes_none(told: Any) -> None:
    assert key(wanted=TensorRt.model_validate(told)) == key()


def test_every_field_of_the_policy_is_in_the_key_or_known_not_to_matter() -> None:
    """A new field must not be forgotten: a wrong hit would serve another plan than was asked for."""
    from tidegate.core.tensorrt.build_key import NOT_IN_THE_PLAN

    assert set(NOT_IN_THE_PLAN) < set(TensorRt.model_fields)
    assert set(TensorRt.model_fields) - set(NOT_IN_THE_PLAN) == {
        "builder", "workspace_mib", "optimization_level", "hardware", "version_compatible", "tf32",
    }  # fmt: skip


def test_timings_are_kept_by_gpu_and_tensorrt() -> None:
    names = {
        timing_cache_name(GPU, "10.7.0"),
        timing_cache_name(GPU, "10.7.1"),
        timing_cache_name(Gpu(name="L40", compute_capability="8.9", memory_mib=1), "10.7.0"),
    }
    assert len(names) == 3


# -- inspector


def layer(*outputs: Any, kind: str = "gemm") -> dict[str, Any]:
    return {"Name": "x", "LayerType": kind, "Inputs": [], "Outputs": list(outputs)}


def test_layers_precisions_and_formats_are_counted_as_10_and_as_11_write_them() -> None:
    told = {
        "Layers": [
            layer({"Name": "a", "Format/Datatype": "Row major linear FP16 format"}),
            layer({"Name": "b", "Format/Datatype": "Half"}, kind="kgen"),
            layer({"Name": "c", "Format": "Linear", "Datatype": "Float"}),
            layer({"Name": "d", "Format": "Linear", "DataType": "FP8"}, kind="kgen"),
            layer({"Name": "e"}),
        ],
        "Bindings": ["X"],
    }
    found = inspected(json.dumps(told))
    assert found is not None
    assert found.layers == 5
    assert found.kinds == {"gemm": 3, "kgen": 2}
    assert found.precisions == {"FP16": 2, "FP32": 1, "FP8": 1, "other": 1}
    assert found.formats == {"Half": 1, "Linear": 2, "Row major linear FP16 format": 1, "other": 1}


def test_names_alone_are_counted_and_no_json_is_nothing() -> None:
    found = inspected(json.dumps({"Layers": ["conv1", "conv2"]}))
    assert found is not None
    assert (found.layers, found.precisions) == (2, {})
    for text in ("", "[]", "{}", '{"Layers": 3}', "no json"):
        assert inspected(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Thirty-two wide channel vectorized row major Int8 format.", "INT8"),
        ("Channel major FP32 format", "FP32"),
        ("Float", "FP32"),
        ("BFloat16", "BF16"),
        ("UInt8", "UINT8"),
        ("Int64", "INT64"),
        ("Bool", "BOOL"),
        ("FP4E2M1", "FP4"),
        ("complex", "other"),
    ],
)  # fmt: skip
def test_a_precision_is_read_from_the_words_of_a_format(text: str, name: str) -> None:
    assert precision(text) == name


# -- operators


def test_the_first_operator_or_type_that_tensorrt_lacks_is_named() -> None:
    plain = Node(name="a", operator="Conv", domain="")
    trees = Node(name="", operator="TreeEnsembleClassifier", domain="ai.onnx.ml", output="label")
    text = Tensor(name="label", dtype="STRING", shape=(-1,))
    assert refused([plain], [Tensor(name="X", dtype="FP32", shape=(1,))]) == ""
    assert "node 'label' is ai.onnx.ml.TreeEnsembleClassifier" in refused([plain, trees], [])
    assert "tensor 'label' is STRING" in refused([plain], [text])


# -- progress


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "inner", "step", "finish"]),
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 9),
        ),
        max_size=30,
    )
)
def test_the_share_is_a_share_whatever_is_told_in_whatever_order(told: Any) -> None:
    progress = Progress()
    for what, name, number in told:
        progress = told_of(progress, what, name, number)
        assert 0 <= progress.share <= 1


def told_of(progress: Progress, what: str, name: str, number: int) -> Progress:
    if what == "step":
        return progress.stepped(name, number)
    if what == "finish":
        return progress.finished(name)
    return progress.started(name, "a" if what == "inner" else "", number)


def test_an_inner_phase_is_a_step_of_the_one_around_it() -> None:
    build = Progress().started("build", "", 4).stepped("build", 1)
    assert build.share == 0.5
    tactics = build.started("tactics", "build", 10).stepped("tactics", 4)
    assert tactics.share == pytest.approx(0.5 + 0.25 * 0.5)
    assert tactics.shown == "build > tactics"
    assert tactics.finished("tactics").stepped("build", 3).share == 1


# -- ONNX Runtime's provider


def test_profiles_are_spelled_as_the_provider_reads_them() -> None:
    two = [{"X": SPAN, "Z": ShapeRange(min=(1,), opt=(2,), max=(4,))}]
    assert provider.profile_shapes(two) == {
        "trt_profile_min_shapes": "X:1x4,Z:1",
        "trt_profile_opt_shapes": "X:8x4,Z:2",
        "trt_profile_max_shapes": "X:8x4,Z:4",
    }
    assert provider.profile_shapes([]) == {}


def test_the_accelerator_is_told_shapes_and_caches_and_a_mode_only_where_there_is_one() -> None:
    def told(**other: Any) -> dict[str, str]:
        given = {
            "precision": "fp16",
            "serving": "10.7.0",
            "workspace_mib": 64,
            "engine_cache": "/c",
        }
        return provider.triton_parameters([{"X": SPAN}], **{**given, **other})

    found = told()
    assert found["precision_mode"] == "FP16"
    assert found["max_workspace_size_bytes"] == str(64 << 20)
    assert found["trt_engine_cache_path"] == found["trt_timing_cache_path"] == "/c"
    assert "precision_mode" not in told(serving="11.1.0")
    assert "precision_mode" not in told(serving="")
    assert "precision_mode" not in told(precision="source")
    assert not any("cache" in name for name in told(engine_cache=""))
    assert "max_workspace_size_bytes" not in told(workspace_mib=None)


@pytest.mark.parametrize(
    ("precision", "flag"),
    [("fp16", "fp16"), ("bf16", "bf16"), ("int8", "int8"), ("fp8", "fp16"), ("source", "")],
)
def test_parity_asks_the_provider_in_the_mode_in_which_triton_will(
    precision: str, flag: str
) -> None:
    """Keys as Triton's backend makes them of precision_mode: onnxruntime_backend, src/onnxruntime.cc."""
    shapes = provider.profile_shapes([{"X": SPAN}])
    flags = {f"trt_{flag}_enable": "True"} if flag else {}
    assert provider.options([{"X": SPAN}], precision=precision, serving="10.7.0") == shapes | flags
    assert provider.options([{"X": SPAN}], precision=precision, serving="11.1.0") == shapes
