import dataclasses
from typing import Any

import pytest

from tidegate.core import lint, model_config
from tidegate.core.lint import Repository
from tidegate.core.model_config import DynamicBatching, InstanceGroup, ModelTensor
from tidegate.documents import Tensor, Word
from tidegate.policy import Triton

X = Tensor(name="X", dtype="FP32", shape=(-1, 64))
LABEL = Tensor(name="label", dtype="INT64", shape=(-1,))


def repository(*, config: dict[str, Any] | None = None, **changes: Any) -> Repository:
    built = model_config.build(
        name="digits",
        backend="onnxruntime",
        inputs=(X,),
        outputs=(LABEL,),
        wanted=Triton(),
        shapes={},
    )
    base = Repository(
        config=dataclasses.replace(built, **(config or {})),
        folder="digits", versions=(3,), triton=(2, 51), inputs=(X,), outputs=(LABEL,),
        opset=18, ir_version=8,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def warmup(**changes: Any) -> tuple[Any, ...]:
    first = repository().config.warmup[0]
    return (dataclasses.replace(first, **changes),)


def tensor(**changes: Any) -> tuple[ModelTensor, ...]:
    return (dataclasses.replace(ModelTensor(name="X", data_type="FP32", dims=(64,)), **changes),)


def failed(checked: Repository) -> dict[str, str]:
    return {f.name: f.message for f in lint.lint(checked) if f.word is not Word.PASS}


def test_what_the_generator_writes_is_clean() -> None:
    assert failed(repository()) == {}


def test_every_rule_leaves_a_finding() -> None:
    assert [f.name for f in lint.lint(repository())] == [f"lint: {name}" for name in lint.RULES]


BROKEN = {
    "name": repository(folder="other"),
    "version folders: none": repository(versions=()),
    "version folders: absent": repository(config={"versions": (9,)}),
    "tensor names: twice": repository(config={"inputs": tensor() * 2}),
    "tensor names: none": repository(config={"inputs": ()}),
    "dims: zero": repository(config={"inputs": tensor(dims=(0,))}),
    "dims: none": repository(config={"inputs": tensor(dims=())}),
    "dims: no such type": repository(config={"inputs": tensor(data_type="COMPLEX64")}),
    "reshape: another count": repository(config={"inputs": tensor(reshape=(8, 9))}),
    "reshape: unbatched": repository(config={"max_batch_size": 0, "dynamic_batching": None}),
    "batching: without batches": repository(config={"max_batch_size": 0}),
    "batching: negative": repository(config={"max_batch_size": -1}),
    "batching: preferred": repository(
        config={"dynamic_batching": DynamicBatching(preferred_batch_size=(64,))}
    ),
    "batch axis: fixed": repository(outputs=(Tensor(name="label", dtype="INT64", shape=(1,)),)),
    "batch axis: named apart": repository(batch_symbols={"X": "batch", "label": "detections"}),
    "graph: dims": repository(config={"inputs": tensor(dims=(65,))}),
    "graph: type": repository(config={"inputs": tensor(data_type="FP16")}),
    "graph: names": repository(config={"inputs": tensor(name="Y")}),
    "instances: none": repository(config={"instance_groups": ()}),
    "instances: negative": repository(config={"instance_groups": (InstanceGroup(count=-1),)}),
    "warm-up: no batch": repository(config={"warmup": warmup(batch_size=0)}),
    "warm-up: too large": repository(config={"warmup": warmup(batch_size=33)}),
    "warm-up: lacks an input": repository(config={"warmup": warmup(inputs={})}),
    "parameters": repository(config={"parameters": {"intra_op_thread_count": "two"}}),
    "ONNX version: opset": repository(opset=22),
    "ONNX version: IR": repository(ir_version=11),
    "ONNX version: old server": repository(triton=(2, 10)),
}


@pytest.mark.parametrize(("case", "checked"), BROKEN.items(), ids=BROKEN)
def test_each_trap_is_found_by_its_rule(case: str, checked: Repository) -> None:
    assert f"lint: {case.partition(':')[0]}" in failed(checked)


def test_a_newer_server_reads_a_newer_graph() -> None:
    assert failed(repository(opset=22, ir_version=10, triton=(2, 57))) == {}


def test_a_version_of_the_server_is_compared_by_number() -> None:
    assert lint.triton_version("2.9") < lint.triton_version("2.51")
