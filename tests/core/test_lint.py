import dataclasses
from typing import Any

import pytest

from tidegate.core import lint, model_config
from tidegate.core.lint import Graph, Package, Plan, Repository, Server
from tidegate.core.model_config import (
    EnsembleStep,
    ModelConfig,
    ModelDynamicBatching,
    ModelEnsembling,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelParameter,
    ModelSequenceBatching,
    ModelTensorReshape,
    ModelVersionPolicy,
    Specific,
    WarmupInput,
)
from tidegate.core.model_config.instances import ModelRateLimiter
from tidegate.core.model_config.scheduling import (
    Control,
    ControlInput,
    InitialState,
    State,
    StrategyDirect,
    StrategyOldest,
)
from tidegate.core.model_config.whole import Latest, ModelMetrics, ModelResponseCache
from tidegate.documents import Tensor, Word
from tidegate.policy import Triton

X = Tensor(name="X", dtype="FP32", shape=(-1, 64))
LABEL = Tensor(name="label", dtype="INT64", shape=(-1,))
GRAPH = Graph(inputs=(X,), outputs=(LABEL,), opset=18, ir_version=8)
SERVER = Server(
    version=(2, 51), gpus=0, backends=frozenset({"onnxruntime", "python"}), arguments=()
)
FILES = frozenset({"3/model.onnx"})


def repository(
    *,
    config: dict[str, Any] | None = None,
    graph: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    **changes: Any,
) -> Repository:
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
        folder="digits",
        versions=(3,),
        server=dataclasses.replace(SERVER, **(server or {})),
        graph=dataclasses.replace(GRAPH, **(graph or {})),
        files=FILES,
    )
    return dataclasses.replace(base, **changes)


def warmup(**changes: Any) -> dict[str, Any]:
    first = repository().config.model_warmup[0]
    return {"model_warmup": (dataclasses.replace(first, **changes),)}


def tensor(**changes: Any) -> tuple[ModelInput, ...]:
    one = ModelInput(name="X", data_type="TYPE_FP32", dims=(64,))
    return (dataclasses.replace(one, **changes),)


def group(**changes: Any) -> dict[str, Any]:
    one = ModelInstanceGroup(kind="KIND_CPU", count=1)
    return {"instance_group": (dataclasses.replace(one, **changes),)}


def reshape(dims: tuple[int, ...], shape: tuple[int, ...], **changes: Any) -> Repository:
    return repository(
        config={
            "input": tensor(dims=dims, reshape=ModelTensorReshape(shape=shape)),
            **changes,
        },
        graph={"inputs": (Tensor(name="X", dtype="FP32", shape=(-1, *shape)),)},
    )


def batching(**changes: Any) -> dict[str, Any]:
    return {"dynamic_batching": ModelDynamicBatching(**changes)}


def sequential(**changes: Any) -> Repository:
    batcher = ModelSequenceBatching(**changes)
    return repository(config={"dynamic_batching": None, "sequence_batching": batcher})


def packaged(
    *, config: dict[str, Any] | None = None, server: dict[str, Any] | None = None, **changes: Any
) -> Repository:
    """An AOTInductor package as configure places it, for the first server that knows all of its names."""
    inputs = (Tensor(name="INPUT__0", dtype="FP32", shape=(-1, 64)),)
    built = model_config.build(
        name="digits",
        backend="pytorch",
        platform="torch_aoti",
        inputs=inputs,
        outputs=(Tensor(name="OUTPUT__0", dtype="FP32", shape=(-1, 3)),),
        wanted=Triton(),
        shapes={"INPUT__0": (64,)},
        model_file="model.pt2",
    )
    backends = frozenset({"pytorch"})
    whole = Server(version=(2, 69), gpus=0, backends=backends, torch="2.11.0")
    base = Repository(
        config=dataclasses.replace(built, **(config or {})),
        folder="digits",
        versions=(3,),
        server=dataclasses.replace(whole, **(server or {})),
        package=Package(torch="2.11.0"),
        files=frozenset({"3/model.pt2"}),
    )
    return dataclasses.replace(base, **changes)


def named(kind: str, *names: str) -> dict[str, Any]:
    made = ModelInput if kind == "input" else ModelOutput
    return {kind: tuple(made(name=n, data_type="TYPE_FP32", dims=(-1, 64)) for n in names)}


INNER = ModelConfig(
    name="inner",
    max_batch_size=8,
    input=(ModelInput(name="a", data_type="TYPE_FP32", dims=(64,)),),
    output=(ModelOutput(name="b", data_type="TYPE_INT64", dims=(1,)),),
)


def ensemble(
    step: dict[str, Any] | None = None, inner: dict[str, Any] | None = None, **changes: Any
) -> Repository:
    one = EnsembleStep(model_name="inner", input_map={"a": "X"}, output_map={"b": "label"})
    config = ModelConfig(
        name="digits",
        platform="ensemble",
        max_batch_size=8,
        input=tensor(),
        output=(ModelOutput(name="label", data_type="TYPE_INT64", dims=(1,)),),
        ensemble_scheduling=ModelEnsembling(step=(dataclasses.replace(one, **(step or {})),)),
    )
    return Repository(
        config=dataclasses.replace(config, **changes),
        folder="digits",
        versions=(3,),
        server=SERVER,
        files=frozenset(),
        others={"inner": dataclasses.replace(INNER, **(inner or {}))},
    )


def failed(checked: Repository) -> dict[str, str]:
    found = {f.name: f.message for f in lint.lint(checked) if f.word is not Word.PASS}
    return {name.removeprefix("lint: "): message for name, message in found.items()}


def test_what_the_generator_writes_is_clean() -> None:
    assert failed(repository()) == {}


def test_an_ensemble_whose_tensors_fit_is_clean() -> None:
    assert failed(ensemble()) == {}


def test_every_rule_leaves_a_finding() -> None:
    assert [f.name for f in lint.lint(repository())] == [f"lint: {r.name}" for r in lint.RULES]


def test_what_is_not_known_of_the_server_is_not_judged() -> None:
    unknown = Server(version=(2, 51))
    assert failed(repository(config=group(kind="KIND_GPU", gpus=(7,)), server={"gpus": None})) == {}
    assert failed(dataclasses.replace(repository(files=None), server=unknown)) == {}


BROKEN = {
    "name": repository(folder="other"),
    "version folders": repository(versions=()),
    "version policy": repository(
        config={"version_policy": ModelVersionPolicy(specific=Specific(versions=(9,)))}
    ),
    "backend": repository(config={"backend": "tensorrt"}),
    "backend: none": repository(config={"backend": ""}),
    "model file": repository(files=frozenset({"3/model.py"})),
    "model file: of another name": repository(config={"default_model_filename": "h100.onnx"}),
    "label file": repository(
        config={"output": (ModelOutput(name="label", data_type="TYPE_INT64", dims=(1,),
                                       label_filename="labels.txt"),)}
    ),
    "tensors": repository(config={"input": ()}),
    "tensor names": repository(config={"input": tensor() * 2}),
    "data types: none": repository(config={"input": tensor(data_type="TYPE_INVALID")}),
    "data types: no such": repository(config={"input": tensor(data_type="TYPE_COMPLEX64")}),
    "dims: zero": repository(config={"input": tensor(dims=(0,))}),
    "dims: below -1": repository(config={"input": tensor(dims=(-2,))}),
    "dims: none": repository(config={"input": tensor(dims=())}),
    "reshape: another count": reshape((64,), (8, 9)),
    "reshape: a free axis lost": reshape((-1,), (64,)),
    "reshape: counts between free axes": reshape((2, -1, 3), (3, -1, 2)),
    "reshape: many values to one": reshape((64,), ()),
    "reshape: unbatched": reshape((1,), (), max_batch_size=0, dynamic_batching=None),
    "one scheduler": repository(config={"sequence_batching": ModelSequenceBatching()}),
    "batch size": repository(config={"max_batch_size": -1}),
    "idle batcher": repository(config={"max_batch_size": 0}),
    "preferred batch size: above": repository(config=batching(preferred_batch_size=(64,))),
    "preferred batch size: zero": repository(config=batching(preferred_batch_size=(0,))),
    "priority: no default": repository(config=batching(priority_levels=2)),
    "priority: above": repository(config=batching(priority_levels=2, default_priority_level=3)),
    "instances said": repository(config={"instance_group": ()}),
    "instance count": repository(config=group(count=-1)),
    "GPU instances": repository(config=group(kind="KIND_GPU")),
    "GPU id": repository(config=group(kind="KIND_AUTO", gpus=(3,))),
    "GPU id: of a GPU server": repository(
        config=group(kind="KIND_GPU", gpus=(2,)), server={"gpus": 2}
    ),
    "CPU instances": repository(config=group(gpus=(0,))),
    "profile": repository(config=group(profile=("0",))),
    "warm-up batch": repository(config=warmup(batch_size=0)),
    "warm-up size": repository(config=warmup(batch_size=33)),
    "warm-up inputs": repository(config=warmup(inputs={})),
    "warm-up dims": repository(
        config=warmup(inputs={"X": WarmupInput(data_type="TYPE_FP32", dims=(-1,), zero_data=True)})
    ),
    "warm-up file": repository(
        config=warmup(
            inputs={"X": WarmupInput(data_type="TYPE_FP32", dims=(64,), input_data_file="x")}
        )
    ),
    "response cache": repository(config={"response_cache": ModelResponseCache(enable=True)}),
    "rate limiter": repository(config=group(rate_limiter=ModelRateLimiter(priority=1))),
    "metrics config: unknown": repository(server={"arguments": ("--metrics-config", "fast=true")}),
    "metrics config: freezes": repository(
        server={"arguments": ("--metrics-config=counter_latencies=false",)}
    ),
    "sequence signals": sequential(control_input=(ControlInput(control=(Control(),)),)),
    "sequence signals: of no type": sequential(
        control_input=(ControlInput(name="S", control=(Control(),)),)
    ),
    "sequence batches": sequential(oldest=StrategyOldest(preferred_batch_size=(64,))),
    "sequence start": sequential(state=(State(input_name="I", initial_state=(InitialState(),)),)),
    "sequence tensors": sequential(),
    "sequence tensors: a client's too": sequential(
        direct=StrategyDirect(), control_input=(ControlInput(name="X", control=(Control(),)),)
    ),
    "version policy: none": repository(
        config={"version_policy": ModelVersionPolicy(latest=Latest())}
    ),
    "ordering": repository(
        config={
            "dynamic_batching": ModelDynamicBatching(
                preserve_ordering=True, priority_levels=2, default_priority_level=1
            )
        }
    ),
    "histograms: an older server": repository(
        config={"model_metrics": ModelMetrics()}, server={"version": (2, 64)}
    ),
    "histograms: not told to": repository(
        config={"model_metrics": ModelMetrics()}, server={"version": (2, 65)}
    ),
    "fields": repository(config={"model_metrics": ModelMetrics()}),
    "batch axis: fixed": repository(
        graph={"outputs": (Tensor(name="label", dtype="INT64", shape=(1,)),)}
    ),
    "batch axis: named apart": repository(
        graph={"batch_symbols": {"X": "batch", "label": "detections"}}
    ),
    "graph: dims": repository(config={"input": tensor(dims=(65,))}),
    "graph: type": repository(config={"input": tensor(data_type="TYPE_FP16")}),
    "graph: names": repository(config={"input": tensor(name="Y")}),
    "optional inputs": repository(config={"input": tensor(optional=True)}),
    "parameters": repository(
        config={"parameters": {"intra_op_thread_count": ModelParameter(string_value="two")}}
    ),
    "ONNX version: opset": repository(graph={"opset": 22}),
    "ONNX version: IR": repository(graph={"ir_version": 11}),
    "ONNX version: old server": repository(server={"version": (2, 10)}),
    "plan version": repository(
        plan=Plan(version="10.7.0.23", max_batch_size=32), server={"tensorrt": "10.8.0"}
    ),
    "plan version: not known": repository(plan=Plan(version="10.7.0.23", max_batch_size=32)),
    "plan batch": repository(
        plan=Plan(version="10.7.0.23", max_batch_size=16), server={"tensorrt": "10.7.0"}
    ),
    "plan on a GPU": repository(config={"backend": "tensorrt"}),
    "AOTI server": packaged(server={"version": (2, 66)}),
    "AOTI platform": packaged(config={"platform": ""}),
    "AOTI platform: by its file": packaged(config={"platform": "", "default_model_filename": ""}),
    "AOTI batch": packaged(config={"max_batch_size": 2}),
    "AOTI sequences": packaged(config={"sequence_batching": ModelSequenceBatching()}),
    "AOTI names": packaged(config=named("input", "input")),
    "AOTI names: too early": packaged(config=named("input", "ARGS[0]"), server={"version": (2, 68)}),
    "AOTI names: an output": packaged(config=named("output", "RESULTS[0]")),
    "AOTI names: without brackets in the server": packaged(config=named("input", "KWARGS[mask]")),
    "AOTI names: a gap": packaged(config=named("input", "INPUT__0", "INPUT__2")),
    "AOTI torch": packaged(package=Package(torch="2.13.0")),
    "AOTI torch: not known": packaged(server={"torch": ""}),
    "AOTI device": packaged(config=group(kind="KIND_GPU")),
    "AOTI device: of a GPU": packaged(package=Package(torch="2.11.0", device="cuda")),
    "model file: of a package": packaged(
        config={"default_model_filename": ""}, files=frozenset({"3/model.pt"})
    ),
    "ensemble steps": ensemble(ensemble_scheduling=ModelEnsembling()),
    "ensemble instances": ensemble(**group()),
    "ensemble models": ensemble(step={"model_name": "absent"}),
    "ensemble batch": ensemble(inner={"max_batch_size": 4}),
    "ensemble maps: an input lacks": ensemble(step={"input_map": {}}),
    "ensemble maps: no such output": ensemble(step={"output_map": {"c": "label"}}),
    "ensemble sources: of a step": ensemble(step={"input_map": {"a": "Y"}}),
    "ensemble sources: of the ensemble": ensemble(step={"output_map": {"b": "other"}}),
    "ensemble inputs": ensemble(
        input=(*tensor(), ModelInput(name="Z", data_type="TYPE_FP32", dims=(1,)))
    ),
    "ensemble types": ensemble(input=tensor(data_type="TYPE_FP16")),
    "ensemble dims": ensemble(input=tensor(dims=(65,))),
}  # fmt: skip


@pytest.mark.parametrize(("case", "checked"), BROKEN.items(), ids=BROKEN)
def test_each_trap_is_found_by_its_rule(case: str, checked: Repository) -> None:
    assert case.partition(":")[0] in failed(checked)


def test_a_plan_of_the_servers_own_tensorrt_on_its_gpu_is_clean() -> None:
    served = repository(
        config={"backend": "tensorrt", **group(kind="KIND_GPU")},
        graph=None,
        plan=Plan(version="10.7.0.23", max_batch_size=32),
        server={"tensorrt": "10.7.0", "gpus": 1, "backends": frozenset({"tensorrt"})},
        files=frozenset({"3/model.plan"}),
    )
    assert failed(dataclasses.replace(served, graph=None)) == {}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"default_model_filename": ""},
        named("input", "ARGS[0]") | named("output", "RESULT"),
        named("input", "ARGS[0][a]", "ARGS[1]") | named("output", "RESULT[b][0]", "OUTPUT__1"),
    ],
)
def test_a_package_under_a_name_that_its_server_finds_is_clean(config: dict[str, Any]) -> None:
    unwarmed = {"model_warmup": ()} if config else {}
    assert failed(packaged(config={**config, **unwarmed})) == {}


def test_torchscript_beside_a_package_is_what_is_opened() -> None:
    both = packaged(
        config={"platform": "", "default_model_filename": ""},
        files=frozenset({"3/model.pt", "3/model.pt2"}),
    )
    assert "AOTI platform" not in failed(both)


def test_every_rule_has_a_trap_of_its_own() -> None:
    assert {case.partition(":")[0] for case in BROKEN} == {rule.name for rule in lint.RULES}


def test_a_server_that_is_started_for_it_makes_a_field_useful() -> None:
    cached = repository(
        config={"response_cache": ModelResponseCache(enable=True)},
        server={"arguments": ("--cache-config", "local,size=1048576")},
    )
    limited = repository(
        config=group(rate_limiter=ModelRateLimiter(priority=1)),
        server={"arguments": ("--rate-limit=execution_count",)},
    )
    counted = repository(
        config={"model_metrics": ModelMetrics()},
        server={"version": (2, 65), "arguments": ("--metrics-config=histogram_latencies=true",)},
    )
    assert (failed(cached), failed(limited), failed(counted)) == ({}, {}, {})


def test_a_free_axis_of_an_ensemble_fits_any_size() -> None:
    assert failed(ensemble(input=tensor(dims=(-1,)))) == {}


def test_a_newer_server_reads_a_newer_graph() -> None:
    newer = repository(graph={"opset": 22, "ir_version": 10}, server={"version": (2, 57)})
    assert failed(newer) == {}


def test_a_version_of_the_server_is_compared_by_number() -> None:
    assert lint.triton_version("2.9") < lint.triton_version("2.51")
