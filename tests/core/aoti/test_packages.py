"""AOTInductor packages: who serves one, where it loads, what it is compiled for, and when it is the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import model_config
from tidegate.core.aoti.build_key import build_key
from tidegate.core.aoti.instructions import LEVELS, Cpu, not_here, otherwise, told
from tidegate.core.aoti.serving import not_served, other_torch, too_old
from tidegate.core.model_config.backends import threads_key
from tidegate.core.model_config.resizing import resized, setting_of
from tidegate.core.routes import choose
from tidegate.documents import Setting, Tensor
from tidegate.errors import DocumentError
from tidegate.policy import Aoti, Policy, Triton

HASWELL = Cpu(machine="x86_64", flags=frozenset(LEVELS["avx2"].needs))
SKYLAKE = Cpu(machine="x86_64", flags=HASWELL.flags | frozenset(LEVELS["avx512"].needs))
X = Tensor(name="INPUT__0", dtype="FP32", shape=(-1, 12))
Y = Tensor(name="OUTPUT__0", dtype="FP32", shape=(-1, 5))


def policy(**triton: Any) -> Policy:
    return Policy.model_validate(
        {
            "name": "m",
            "model": {"uri": "models:/m/1"},
            "optimize": {"target": "aoti"},
            "triton": {"version": "2.69", "torch": "2.11.0", **triton},
        }
    )


def test_the_first_triton_with_packages_is_26_03() -> None:
    assert too_old((2, 67)) == ""
    assert too_old((2, 66)) == (
        "torch_aoti is served by Triton 2.67 (26.03) and newer, triton.version is 2.66; serve with a newer "
        "one, or write optimize.target: native (TorchScript)"
    )


@pytest.mark.parametrize(
    ("triton", "told"),
    [
        ({"version": "2.53"}, r"Triton 2\.67 \(26\.03\) and newer, triton\.version is 2\.53"),
        ({"torch": ""}, r"triton\.torch is not set, .* write the serving image's version"),
        ({"sequence_batching": {"strategy": "direct"}}, r"triton\.sequence_batching: .*drop it"),
    ],
)
def test_what_the_server_cannot_do_is_refused_when_the_route_is_chosen(
    triton: dict[str, Any], told: str
) -> None:
    with pytest.raises(DocumentError, match=rf"^m 1: optimize\.target aoti: .*{told}"):
        choose("pytorch", policy(**triton), what="m 1")


def test_a_policy_that_the_server_can_serve_has_its_route() -> None:
    assert not_served(policy()) == ""
    assert choose("pytorch", policy(), what="m 1").backend == "pytorch"


@pytest.mark.parametrize("flavor", ["onnx", "sklearn", "transformers", "keras"])
def test_no_other_flavor_is_compiled(flavor: str) -> None:
    with pytest.raises(DocumentError, match="compiles PyTorch modules alone; write onnxruntime"):
        choose(flavor, policy(), what="m 1")


@pytest.mark.parametrize(
    ("compiled", "serving", "loads"),
    [
        ("2.13.0+cpu", "2.13.0", True),
        ("2.13.0+cpu", "2.13.0+cu130", True),
        ("2.13.0", "2.13.1", False),
        ("2.11.0a0+eb65b36914.nv26.03", "2.11.0a0+eb65b36914.nv26.03", True),
        ("2.11.0a0+eb65b36914.nv26.03", "2.11.0a0+a6c236b9fd.nv26.02", False),
        ("2.11.0a0+eb65b36914.nv26.03", "2.11.0", False),
        ("2.11.0", "", False),
    ],
)  # fmt: skip
def test_a_package_loads_in_its_own_torch_and_two_builds_of_a_pre_release_are_two(
    compiled: str, serving: str, loads: bool
) -> None:
    assert (other_torch(compiled, serving) == "") is loads


def test_a_level_is_compiled_where_it_can_be_tried() -> None:
    assert not_here("avx2", HASWELL) == not_here("avx512", SKYLAKE) == ""
    assert "this machine's CPU has no avx512f" in not_here("avx512", HASWELL)
    graviton = Cpu(machine="aarch64", flags=frozenset({"asimd"}))
    assert "is of x86-64, this machine is aarch64; write cpu: native" in not_here("avx2", graviton)
    assert not_here("native", graviton) == ""


def test_what_not_every_server_has_is_told_with_the_label_of_those_that_have() -> None:
    assert told("avx2", "avx2") == ""
    native = told("native", "avx512")
    assert "exactly the machine that optimize ran on (avx512): another CPU ends" in native
    assert "feature.node.kubernetes.io/cpu-model.id and cpu-model.family" in native
    assert "AVX512F" not in native  # which many machines have that lack the rest of this one
    assert "feature.node.kubernetes.io/cpu-cpuid.AVX512F" in told("avx512", "avx512")


@pytest.mark.parametrize(
    ("level", "vectors", "told"),
    [
        ("avx2", "avx2", ""),
        ("avx512", "avx512", ""),
        ("native", "avx512 avx512_vnni amx_tile", ""),
        ("avx512", "avx512 avx512_vnni amx_tile", "is compiled for avx512 avx512_vnni amx_tile on"),
        ("avx512", "avx512 avx512_vnni", "and optimize.aoti.cpu says avx512; run optimize on an"),
        ("avx2", "", "is compiled for unknown vectors"),
    ],
)
def test_a_package_of_other_vectors_than_its_level_is_not_taken(
    level: str, vectors: str, told: str
) -> None:
    found = otherwise(level, vectors)
    assert told in found
    assert bool(told) == bool(found)


PARTS = {"program_digest": "p", "torch": "2.13.0", "compiler": "g++ 12", "machine": "x86_64"}


@given(st.sampled_from(sorted(PARTS)), st.text(min_size=1))
def test_a_package_of_anything_else_is_another_package(part: str, other: str) -> None:
    changed = PARTS | {part: PARTS[part] + other}
    assert build_key(**PARTS, wanted=Aoti()) != build_key(**changed, wanted=Aoti())


def test_the_policy_is_in_the_key_as_far_as_it_is_in_the_package() -> None:
    plain = build_key(**PARTS, wanted=Aoti())
    assert build_key(**PARTS, wanted=Aoti(reuse=False, compile_timeout_s=1)) == plain
    assert build_key(**PARTS, wanted=Aoti(cpu="native")) != plain


def config(**triton: Any) -> model_config.ModelConfig:
    return model_config.build(
        name="m",
        backend="pytorch",
        platform="torch_aoti",
        inputs=(X,),
        outputs=(Y,),
        wanted=Triton.model_validate(triton),
        shapes={"INPUT__0": (12,)},
        model_file="model.pt2",
    )


def test_a_package_is_served_unbatched_with_its_rows_as_an_axis_and_no_parameters() -> None:
    made = config(threads=4, max_batch_size=16, max_queue_delay_us=100, instances=2)
    assert (made.max_batch_size, made.dynamic_batching, made.parameters) == (0, None, {})
    assert (made.platform, made.default_model_filename) == ("torch_aoti", "model.pt2")
    assert [t.dims for t in made.tensors] == [(-1, 12), (-1, 5)]
    assert made.instance_group[0].count == 2


def test_its_warm_up_is_one_row() -> None:
    (request,) = config().model_warmup
    assert (request.batch_size, request.inputs["INPUT__0"].dims) == (1, (1, 12))


def test_tuning_a_package_writes_nothing_that_is_not_read() -> None:
    wanted = Setting(max_batch_size=0, instances=3, queue_delay_us=0, threads=1)
    made = resized(config(), wanted)
    assert (made.parameters, made.dynamic_batching) == ({}, None)
    assert setting_of(made) == wanted
    assert threads_key("pytorch", "torch_aoti") == ""
    assert threads_key("pytorch") == "INTRA_OP_THREAD_COUNT"
