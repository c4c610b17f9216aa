"""Drawn model repositories for the real Triton: a sound config, and faults that are put into it."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tidegate.adapters.model_config_text import to_text
from tidegate.core.lint import Repository, Server
from tidegate.core.model_config import (
    EnsembleStep,
    ModelConfig,
    ModelDynamicBatching,
    ModelEnsembling,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelQueuePolicy,
    ModelTensorReshape,
    ModelVersionPolicy,
    ModelWarmup,
    Specific,
    WarmupInput,
)
from tidegate.core.model_config.instances import ModelRateLimiter
from tidegate.core.model_config.scheduling import (
    Control,
    ControlInput,
    InitialState,
    ModelSequenceBatching,
    State,
    StrategyDirect,
    StrategyOldest,
)
from tidegate.core.model_config.whole import Latest, ModelMetrics, ModelResponseCache

SERVER = Server(version=(2, 51), gpus=0, backends=frozenset({"python", "onnxruntime"}))
INNER = ModelConfig(
    name="inner",
    backend="python",
    max_batch_size=4,
    input=(ModelInput(name="a", data_type="TYPE_FP32", dims=(4,)),),
    output=(ModelOutput(name="b", data_type="TYPE_FP32", dims=(2,)),),
    instance_group=(ModelInstanceGroup(kind="KIND_CPU", count=1),),
)
MODEL_PY = """\
class TritonPythonModel:
    def initialize(self, args):
        pass

    def execute(self, requests):
        import numpy
        import triton_python_backend_utils as triton

        return [
            triton.InferenceResponse([triton.Tensor("Y0", numpy.zeros((1, 1), numpy.float32))])
            for _ in requests
        ]
"""


@dataclass(frozen=True)
class Trial:
    """A model as it would lie in the repository; `extra` is text that no config could hold."""

    config: ModelConfig
    folder: str = ""  # '' = the config's name
    versions: tuple[int, ...] = (1,)
    extra: str = ""
    files: tuple[str, ...] = ("model.py",)  # of each version

    @property
    def text(self) -> str:
        return to_text(self.config) + self.extra

    def repository(self, name: str) -> Repository:
        """As the linter sees it, under the name that it has on the server."""
        ensemble = self.config.platform == "ensemble"
        return Repository(
            config=replace(self.config, name=self._name(name)),
            folder=name,
            versions=self.versions,
            server=SERVER,
            files=frozenset(
                () if ensemble else (f"{v}/{f}" for v in self.versions for f in self.files)
            ),
            others={"inner": INNER},
        )

    def write(self, root: Path, name: str) -> None:
        """Into the server's repository."""
        (root / name).mkdir()
        for version in self.versions:
            (root / name / str(version)).mkdir()
            for file in self.files if self.config.platform != "ensemble" else ():
                (root / name / str(version) / file).write_text(MODEL_PY)
        text = to_text(replace(self.config, name=self._name(name))) + self.extra
        (root / name / "config.pbtxt").write_text(text)

    def _name(self, name: str) -> str:
        return f"{name}-other" if self.folder else name


DIM = st.sampled_from([-1, 1, 2, 3, 4])
TYPES = st.sampled_from(["TYPE_FP32", "TYPE_INT64", "TYPE_BOOL", "TYPE_STRING", "TYPE_FP16"])
DIMS = st.lists(DIM, min_size=1, max_size=3).map(tuple)


@st.composite
def sound(draw: st.DrawFn) -> ModelConfig:
    """A config that a server on a CPU takes and a linter has nothing to say about."""
    size = draw(st.sampled_from([0, 1, 4, 8]))
    inputs = tuple(
        ModelInput(name=f"X{n}", data_type=draw(TYPES), dims=draw(DIMS))
        for n in range(draw(st.integers(1, 3)))
    )
    outputs = tuple(
        ModelOutput(name=f"Y{n}", data_type=draw(TYPES), dims=draw(DIMS))
        for n in range(draw(st.integers(1, 2)))
    )
    return ModelConfig(
        name="m",
        backend="python",
        max_batch_size=size,
        input=inputs,
        output=outputs,
        instance_group=(
            ModelInstanceGroup(kind=draw(st.sampled_from(["KIND_CPU", "KIND_AUTO"])), count=1),
        ),
        dynamic_batching=draw(batchers(size)) if size else None,
        metric_tags=draw(st.dictionaries(st.sampled_from("ab"), st.sampled_from("cd"))),
    )


@st.composite
def batchers(draw: st.DrawFn, size: int) -> ModelDynamicBatching | None:
    if draw(st.booleans()):
        return None
    levels = draw(st.integers(0, 3))
    return ModelDynamicBatching(
        preferred_batch_size=tuple(draw(st.sets(st.integers(1, size), max_size=2))),
        max_queue_delay_microseconds=draw(st.integers(0, 1000)),
        priority_levels=levels,
        default_priority_level=draw(st.integers(1, levels)) if levels else 0,
        default_queue_policy=ModelQueuePolicy(max_queue_size=draw(st.integers(0, 9))),
    )


def ensemble(size: int) -> ModelConfig:
    """One step around INNER."""
    step = EnsembleStep(
        model_name="inner", model_version=-1, input_map={"a": "X0"}, output_map={"b": "Y0"}
    )
    return ModelConfig(
        name="m",
        platform="ensemble",
        max_batch_size=size,
        input=(ModelInput(name="X0", data_type="TYPE_FP32", dims=(4,)),),
        output=(ModelOutput(name="Y0", data_type="TYPE_FP32", dims=(2,)),),
        ensemble_scheduling=ModelEnsembling(step=(step,)),
    )


Fault = Callable[[st.DrawFn, Trial], Trial]


def config_fault(change: Callable[[st.DrawFn, ModelConfig], Mapping[str, Any]]) -> Fault:
    """A fault of the config alone."""

    def put(draw: st.DrawFn, trial: Trial) -> Trial:
        return replace(trial, config=replace(trial.config, **change(draw, trial.config)))

    return put


def first_input(**changes: Any) -> Callable[[ModelConfig], Mapping[str, Any]]:
    return lambda c: {"input": (replace(c.input[0], **changes), *c.input[1:])}


def group(**changes: Any) -> Fault:
    one = ModelInstanceGroup(kind="KIND_CPU", count=1)
    return config_fault(lambda _, __: {"instance_group": (replace(one, **changes),)})


def batching(**changes: Any) -> Fault:
    def change(_: st.DrawFn, config: ModelConfig) -> Mapping[str, Any]:
        return {
            "max_batch_size": max(2, config.max_batch_size),
            "dynamic_batching": ModelDynamicBatching(**changes),
        }

    return config_fault(change)


def reshaped(draw: st.DrawFn, config: ModelConfig) -> Mapping[str, Any]:
    dims, shape = draw(
        st.sampled_from(
            [
                ((4,), (3,)),
                ((2, 3), (5,)),
                ((-1,), (4,)),
                ((2, -1), (-1, 3)),
                ((4,), ()),
                ((4,), (0,)),
            ]
        )
    )
    tensor = replace(config.input[0], dims=dims, reshape=ModelTensorReshape(shape=shape))
    return {"input": (tensor, *config.input[1:])}


def warmed(draw: st.DrawFn, config: ModelConfig, **changes: Any) -> Mapping[str, Any]:
    """A warm-up that would do, but for the change."""
    inputs = {
        t.name: WarmupInput(
            data_type=t.data_type, dims=tuple(abs(d) or 1 for d in t.dims), zero_data=True
        )
        for t in config.input
    }
    one = ModelWarmup(name="w", batch_size=1, inputs=inputs)
    return {"model_warmup": (replace(one, **changes),)}


def warmed_partly(draw: st.DrawFn, config: ModelConfig) -> Mapping[str, Any]:
    whole = warmed(draw, config)["model_warmup"][0].inputs
    fewer = dict(list(whole.items())[1:])
    return warmed(draw, config, inputs=fewer)


def warmed_free(draw: st.DrawFn, config: ModelConfig) -> Mapping[str, Any]:
    whole = dict(warmed(draw, config)["model_warmup"][0].inputs)
    name = config.input[0].name
    whole[name] = replace(whole[name], dims=(-1,))
    return warmed(draw, config, inputs=whole)


def warmed_from_file(draw: st.DrawFn, config: ModelConfig) -> Mapping[str, Any]:
    whole = dict(warmed(draw, config)["model_warmup"][0].inputs)
    name = config.input[0].name
    whole[name] = replace(whole[name], zero_data=None, input_data_file=draw(st.sampled_from("ab")))
    return warmed(draw, config, inputs=whole)


def sequential(**changes: Any) -> Fault:
    """A sequence batcher in the place of the dynamic one."""
    one = ModelSequenceBatching(**({"direct": StrategyDirect()} | changes))
    return config_fault(
        lambda _, __: {"dynamic_batching": None, "sequence_batching": one, "max_batch_size": 4}
    )


def drawn_sequence(*choices: dict[str, Any]) -> Fault:
    return lambda draw, trial: sequential(**draw(st.sampled_from(choices)))(draw, trial)


START = Control(kind="CONTROL_SEQUENCE_START", int32_false_true=(0, 1))
ID = Control(kind="CONTROL_SEQUENCE_CORRID", data_type="TYPE_UINT64")
MEMORY = State(input_name="I", output_name="O", data_type="TYPE_FP32", dims=(2,))
ZEROS = InitialState(name="zeros", data_type="TYPE_FP32", dims=(2,), zero_data=True)
SOUND_SEQUENCE = ModelSequenceBatching(
    oldest=StrategyOldest(max_candidate_sequences=4, preferred_batch_size=(2,)),
    control_input=(ControlInput(name="S", control=(START,)), ControlInput(name="C", control=(ID,))),
    state=(replace(MEMORY, initial_state=(ZEROS,)),),
)


def oldest(**changes: Any) -> dict[str, Any]:
    return {"direct": None, "oldest": StrategyOldest(**({"max_candidate_sequences": 4} | changes))}


def signalled(*controls: Control, name: str = "S") -> dict[str, Any]:
    return {"control_input": tuple(ControlInput(name=name, control=(c,)) for c in controls)}


def starting(**changes: Any) -> dict[str, Any]:
    return {"state": (replace(MEMORY, initial_state=(replace(ZEROS, **changes),)),)}


FAULTS: Mapping[str, Fault] = {
    "name": lambda _, trial: replace(trial, folder="other"),
    "text": lambda _, trial: replace(trial, extra='bogus: "field"\n'),
    "version folders": lambda _, trial: replace(trial, versions=()),
    "version policy": config_fault(
        lambda d, _: {
            "version_policy": d(
                st.sampled_from(
                    [
                        ModelVersionPolicy(specific=Specific(versions=(9,))),
                        ModelVersionPolicy(specific=Specific()),
                        ModelVersionPolicy(latest=Latest()),
                    ]
                )
            )
        }
    ),
    "backend": config_fault(lambda d, _: {"backend": d(st.sampled_from(["tensorrt", "fil", "x"]))}),
    "label file": config_fault(
        lambda _, c: {"output": (replace(c.output[0], label_filename="no.txt"), *c.output[1:])}
    ),
    "tensors": config_fault(lambda _, __: {"output": ()}),
    "tensor names": config_fault(lambda _, c: {"input": c.input * 2}),
    "data types": config_fault(lambda _, c: first_input(data_type="TYPE_INVALID")(c)),
    "dims": config_fault(lambda d, c: first_input(dims=d(st.sampled_from([(), (0,), (-2, 3)])))(c)),
    "reshape": config_fault(reshaped),
    "batch size": config_fault(lambda d, _: {"max_batch_size": d(st.integers(-9, -1))}),
    "idle batcher": config_fault(
        lambda _, __: {"max_batch_size": 0, "dynamic_batching": ModelDynamicBatching()}
    ),
    "preferred batch size": batching(preferred_batch_size=(64,)),
    "priority": batching(priority_levels=2, default_priority_level=3),
    "ordering": batching(priority_levels=2, default_priority_level=1, preserve_ordering=True),
    "instances said": config_fault(lambda _, __: {"instance_group": ()}),
    "instance count": group(count=-1),
    "GPU instances": group(kind="KIND_GPU"),
    "GPU id": group(kind="KIND_AUTO", gpus=(3,)),
    "CPU instances": group(gpus=(0,)),
    "profile": group(profile=("0",)),
    "warm-up batch": config_fault(lambda d, c: warmed(d, c, batch_size=0)),
    "warm-up size": config_fault(lambda d, c: warmed(d, c, batch_size=99)),
    "warm-up inputs": config_fault(warmed_partly),
    "warm-up dims": config_fault(warmed_free),
    "warm-up file": config_fault(warmed_from_file),
    "fields": config_fault(lambda _, __: {"model_metrics": ModelMetrics()}),
    "response cache": config_fault(
        lambda _, __: {"response_cache": ModelResponseCache(enable=True)}
    ),
    "rate limiter": group(rate_limiter=ModelRateLimiter(priority=2)),
    "sequence signals": drawn_sequence(
        signalled(START, START),
        signalled(START, name=""),
        signalled(Control(kind="CONTROL_SEQUENCE_END")),
        signalled(replace(START, fp32_false_true=(0.0, 1.0))),
        signalled(replace(START, int32_false_true=(0,))),
        signalled(replace(ID, data_type="TYPE_FP32")),
    ),
    "sequence batches": drawn_sequence(
        oldest(preferred_batch_size=(0,)),
        oldest(preferred_batch_size=(64,)),
        {"direct": StrategyDirect(minimum_slot_utilization=2.0)},
    ),
    "sequence start": drawn_sequence(
        starting(name=""), starting(dims=(3,)), starting(dims=(-1,)),
        starting(data_type="TYPE_INT32"), starting(zero_data=None, data_file="absent"),
    ),
    "sequence tensors": drawn_sequence(
        {"direct": None},
        oldest(max_candidate_sequences=0),
        signalled(START, name="X0"),
        {"state": (replace(MEMORY, output_name=""),)},
        {"state": (MEMORY, replace(MEMORY, output_name="P"))},
    ),
}  # fmt: skip


def step(**changes: Any) -> Callable[[ModelConfig], Mapping[str, Any]]:
    def change(config: ModelConfig) -> Mapping[str, Any]:
        assert config.ensemble_scheduling is not None
        one = replace(config.ensemble_scheduling.step[0], **changes)
        return {"ensemble_scheduling": ModelEnsembling(step=(one,))}

    return change


def mapped_wrongly(draw: st.DrawFn, config: ModelConfig) -> Mapping[str, Any]:
    changes: dict[str, Any] = draw(st.sampled_from(BAD_MAPS))
    return step(**changes)(config)


BAD_MAPS: list[dict[str, Any]] = [{"input_map": {}}, {"output_map": {"no": "Y0"}}]
ENSEMBLE_FAULTS: Mapping[str, Fault] = {
    "ensemble steps": config_fault(lambda _, __: {"ensemble_scheduling": ModelEnsembling()}),
    "ensemble instances": group(),
    "ensemble models": config_fault(lambda _, c: step(model_name="absent")(c)),
    "ensemble batch": config_fault(lambda _, __: {"max_batch_size": 5}),
    "ensemble maps": config_fault(mapped_wrongly),
    "ensemble sources": config_fault(lambda _, c: step(input_map={"a": "lost"})(c)),
    "ensemble inputs": config_fault(
        lambda _, c: {"input": (*c.input, dataclasses.replace(c.input[0], name="idle"))}
    ),
    "ensemble types": config_fault(lambda _, c: first_input(data_type="TYPE_FP16")(c)),
    "ensemble dims": config_fault(
        lambda d, c: first_input(dims=d(st.sampled_from([(5,), (4, 1)])))(c)
    ),
}


@st.composite
def sound_ensembles(draw: st.DrawFn) -> ModelConfig:
    tags = draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from("def"), max_size=2))
    return replace(ensemble(draw(st.integers(1, 4))), metric_tags=tags)


@st.composite
def sound_sequences(draw: st.DrawFn) -> ModelConfig:
    """A sound config with every signal and a state that a server takes."""
    config = replace(draw(sound()), dynamic_batching=None, max_batch_size=4)
    return replace(config, sequence_batching=SOUND_SEQUENCE)


@st.composite
def faulty(draw: st.DrawFn, *names: str) -> Trial:
    """A sound repository, and these faults put into it."""
    ensembles = all(name in ENSEMBLE_FAULTS for name in names) and bool(names)
    trial = Trial(config=draw(sound_ensembles() if ensembles else sound()))
    for name in names:
        trial = (ENSEMBLE_FAULTS if ensembles else FAULTS)[name](draw, trial)
    return trial
