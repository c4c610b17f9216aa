"""Plays every scene on the real bindings of one version, in a process of its own; prints JSON.

`python -m tests.adapters.tensorrt.playing`, with the bindings on PYTHONPATH.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.adapters.tensorrt.surface import Library, Played
from tidegate.adapters.served_forms.tensorrt_plan import TensorRtPlan
from tidegate.adapters.tensorrt import building, library
from tidegate.adapters.tensorrt.monitor import monitor
from tidegate.documents import ShapeRange
from tidegate.errors import TidegateError
from tidegate.policy import TensorRt

SPAN = ShapeRange(min=(1, 4), opt=(8, 4), max=(32, 4))


class Stage:
    """What the library would have made, for one build."""

    def __init__(self, trt: Any, **answers: Any) -> None:
        cache = Played(trt.ITimingCache, serialize=answers.get("timings", b"new timings"))
        self.network = Played(trt.INetworkDefinition)
        self.profile = Played(trt.IOptimizationProfile)
        self.config = Played(
            trt.IBuilderConfig,
            create_timing_cache=cache,
            set_timing_cache=answers.get("takes_cache", True),
            get_timing_cache=cache,
            add_optimization_profile=answers.get("profile", 0),
        )
        self.builder = Played(
            trt.Builder,
            create_network=self.network,
            create_builder_config=self.config,
            create_optimization_profile=self.profile,
            build_serialized_network=answers.get("plan", b"a plan"),
        )
        errors = answers.get("errors", [])
        self.parser = Played(
            trt.OnnxParser,
            parse_from_file=not errors,
            num_errors=len(errors),
            get_error=lambda at: Played(trt.ParserError, **errors[at]),
        )
        self.library = Library(
            trt, Builder=lambda log: self.builder, OnnxParser=lambda network, log: self.parser
        )

    def built(self, **wanted: Any) -> building.Built:
        """A build of a graph with one profile."""
        order = building.Order(
            onnx=Path("m.onnx"),
            profiles=[{"X": SPAN}],
            wanted=TensorRt.model_validate(wanted),
            timings=b"old timings",
            what="m 1",
        )
        return building.build(self.library, order, lambda phases, share: None)

    def calls(self) -> list[str]:
        """What the config was told, the monitor left out."""
        told = [(n, a) for n, a in self.config.calls if n != "progress_monitor"]
        return [f"{name}{tuple(map(_shown, arguments))}" for name, arguments in told]


def _shown(value: Any) -> Any:
    if isinstance(value, Played):
        return value.cls.__name__
    return getattr(value, "name", value)


def every_flag(trt: Any) -> Any:
    """All that a policy can say."""
    stage = Stage(trt)
    built = stage.built(
        workspace_mib=64,
        optimization_level=5,
        version_compatible=True,
        tf32=False,
        hardware="ampere_plus",
    )
    return {
        "plan": built.plan.decode(),
        "timings": built.timings.decode(),
        "calls": stage.calls(),
        "network": [list(map(int, a)) for n, a in stage.builder.calls if n == "create_network"],
        "shapes": [list(a) for _, a in stage.profile.calls],
        "monitor": [
            type(a[0]).__mro__[1].__name__ for n, a in stage.config.calls if n == "progress_monitor"
        ],
    }


def defaults(trt: Any) -> Any:
    """What is told when nothing is said."""
    stage = Stage(trt)
    stage.built()
    return stage.calls()


def same_capability(trt: Any) -> Any:
    """A level that 10.7 has not."""
    return Stage(trt).built(hardware="same_compute_capability").plan.decode()


def foreign_timings(trt: Any) -> Any:
    """A cache of another GPU is refused by the library."""
    stage = Stage(trt, takes_cache=False)
    stage.built()
    return stage.calls()


def parser_errors(trt: Any) -> Any:
    """More errors than a line holds."""
    one = {
        "node": lambda: 11,
        "node_name": lambda: "/motion/GridSample",
        "node_operator": lambda: "GridSample3D",
        "desc": lambda: "Plugin not found",
    }
    nameless = {**one, "node": lambda: 77, "node_name": lambda: "", "node_operator": lambda: ""}
    return Stage(trt, errors=[one, nameless, one, one]).built()


def no_plan(trt: Any) -> Any:
    """The build itself fails."""
    return Stage(trt, plan=None).built()


def bad_profile(trt: Any) -> Any:
    """The library takes no such profile."""
    return Stage(trt, profile=-1).built()


def no_gpu(trt: Any) -> Any:
    """The real factory, which makes nothing here."""
    order = building.Order(
        onnx=Path("m.onnx"), profiles=(), wanted=TensorRt(), timings=b"", what="m 1"
    )
    return building.build(trt, order, lambda phases, share: None)


def progress(trt: Any) -> Any:
    """The real base class, called as TensorRT calls it."""
    told: list[Any] = []
    watching = monitor(
        trt, lambda phases, share: told.append([phases, share]), time.monotonic() + 60
    )
    assert isinstance(watching, trt.IProgressMonitor)
    watching.phase_start("build", None, 4)
    go_on = watching.step_complete("build", 1)
    watching.phase_start("tactics", "build", 2)
    watching.phase_finish("tactics")
    late = monitor(trt, lambda phases, share: None, time.monotonic() - 1)
    late.phase_start("build", None, 4)
    return {
        "told": told,
        "go_on": go_on,
        "late": late.step_complete("build", 0),
        "is_late": late.is_late,
    }


def logged(trt: Any) -> Any:
    """The real base class keeps errors alone."""
    log = library.logger(trt)
    for severity in (
        trt.ILogger.VERBOSE,
        trt.ILogger.WARNING,
        trt.ILogger.ERROR,
        trt.ILogger.INTERNAL_ERROR,
    ):
        log.log(severity, severity.name)
    return log.errors


def loaded_plan(trt: Any) -> Any:
    """What is asked of an engine."""
    inspector = Played(trt.EngineInspector, get_engine_information='{"Layers": []}')
    names = ("X", "scores", "label")
    shapes = {"X": (-1, 4), "scores": (-1, 3), "label": (-1,)}
    engine = Played(
        trt.ICudaEngine,
        num_io_tensors=3,
        num_optimization_profiles=1,
        device_memory_size_v2=1024,
        get_tensor_name=lambda at: names[at],
        get_tensor_mode=lambda n: trt.TensorIOMode.INPUT if n == "X" else trt.TensorIOMode.OUTPUT,
        get_tensor_dtype=lambda n: trt.DataType.INT64 if n == "label" else trt.DataType.HALF,
        get_tensor_shape=lambda n: shapes[n],
        get_tensor_profile_shape=lambda n, at: ((1, 4), (8, 4), (32, 4)),
        create_engine_inspector=inspector,
    )
    plan = TensorRtPlan(trt=trt, runtime=None, engine=engine, what="m 1")
    return {
        "inputs": [t.model_dump(mode="json") for t in plan.inputs],
        "outputs": [t.model_dump(mode="json") for t in plan.outputs],
        "profiles": [{n: s.model_dump(mode="json") for n, s in p.items()} for p in plan.profiles],
        "layers": plan.layers,
        "memory": plan.memory_bytes,
    }


def enums(trt: Any) -> Any:
    """Every enum that the list of the real surface has."""
    kinds = (
        "BuilderFlag", "NetworkDefinitionCreationFlag", "MemoryPoolType", "HardwareCompatibilityLevel",
        "ProfilingVerbosity", "LayerInformationFormat", "TensorIOMode", "DataType", "OnnxParserFlag",
    )  # fmt: skip
    return {"version": trt.__version__} | {k: list(getattr(trt, k).__members__) for k in kinds}


SCENES: dict[str, Callable[[Any], Any]] = {
    scene.__name__: scene
    for scene in (
        every_flag, defaults, same_capability, foreign_timings, parser_errors, no_plan, bad_profile, no_gpu,
        progress, logged, loaded_plan, enums,
    )
}  # fmt: skip


def outcome(scene: Callable[[Any], Any], trt: Any) -> dict[str, Any]:
    """What a scene tells; what it refuses is told as such."""
    try:
        return {"told": scene(trt)}
    except TidegateError as error:
        return {"refused": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Every scene by its name."""
    trt = library.load()
    print(json.dumps({name: outcome(scene, trt) for name, scene in SCENES.items()}))


if __name__ == "__main__":
    main()
