"""The ladder of optimize.fallback: each rung is really tried, and left only with its reason."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.ladder import Rung
from tidegate.documents import Engine, Parity, ShapeRange, StepDown, Word
from tidegate.errors import RejectedError, UsageError
from tidegate.steps.parity_judging import complaint
from tidegate.steps.plan_building import PLAN, planned
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.adapters.flavors.conversion import Converted, Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The rung that came about: the form that is served, and what the config must say of it."""

    rung: Rung
    converted: "Converted"
    parity: Parity
    profiles: tuple[dict[str, ShapeRange], ...] = ()
    engine: Engine | None = None
    steps_down: tuple[StepDown, ...] = ()


def served(
    given: "Given",
    converted: "Converted",
    rungs: tuple[Rung, ...],
    judge: "Callable[[Converted], Parity]",
) -> Served:
    """The first rung that can be had and answers as its source; the last one's own word where none does.

    Raises what the last rung raises, with the reasons of those before it.
    """
    steps: tuple[StepDown, ...] = ()
    for rung in rungs[:-1]:
        try:
            found = _tried(given, converted, rung, judge)
        except (UsageError, RejectedError) as error:
            reason = str(error)
        else:
            if found.parity.word is not Word.FAIL:
                return replace(found, steps_down=steps)
            reason = complaint(found.parity)
        say("optimize", f"not {rung.name}: {reason}")
        steps = (*steps, StepDown(wanted=rung.name, reason=reason))
    return replace(_last(given, converted, rungs[-1], judge, steps), steps_down=steps)


def _last(
    given: "Given",
    converted: "Converted",
    rung: Rung,
    judge: "Callable[[Converted], Parity]",
    steps: tuple[StepDown, ...],
) -> Served:
    from tidegate.core.ladder import told

    try:
        return _tried(given, converted, rung, judge)
    except (UsageError, RejectedError) as error:
        if not steps:
            raise
        raise type(error)(f"{error} (and {told(steps)})") from error


def _tried(
    given: "Given", converted: "Converted", rung: Rung, judge: "Callable[[Converted], Parity]"
) -> Served:
    (given.folder / PLAN).unlink(missing_ok=True)
    found = _opened(given, converted, rung)
    return Served(
        rung=rung,
        converted=found.converted,
        parity=judge(found.converted),
        profiles=found.profiles,
        engine=found.engine,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The model as a rung serves it, not yet judged."""

    converted: "Converted"
    profiles: tuple[dict[str, ShapeRange], ...] = ()
    engine: Engine | None = None


def _opened(given: "Given", converted: "Converted", rung: Rung) -> Opened:
    from tidegate.adapters.flavors.conversion import reopened

    profiles = _profiles(given, converted) if rung.on_gpu else ()
    converted = _within(converted, profiles)
    if rung.backend == "tensorrt":
        plan = planned(given, converted, profiles)
        found = replace(converted, form=plan.form, model_file=PLAN, opset=0, ir_version=0)
        return Opened(converted=found, profiles=plan.engine.profiles, engine=plan.engine)
    if rung.accelerator:
        from tidegate.adapters import serving_image
        from tidegate.adapters.served_forms import accelerated_graph

        path = given.folder / converted.model_file
        form = accelerated_graph.load(
            path,
            rung.accelerator,
            profiles,
            what=given.what,
            precision=given.policy.optimize.precision,
            serving=serving_image.tensorrt(given.policy),
            largest=given.largest,
        )
        return Opened(converted=replace(converted, form=form), profiles=profiles)
    return Opened(converted=reopened(given, converted))


def _within(converted: "Converted", profiles: tuple[dict[str, ShapeRange], ...]) -> "Converted":
    """Asked in no other size than the plan is built for."""
    from tidegate.core.tensorrt.profiles import takes

    kept = tuple(
        at
        for at in converted.shapes
        if takes(profiles, {name: array.shape[1:] for name, array in at.inputs.items()})
    )
    return replace(converted, shapes=kept)


def _profiles(given: "Given", converted: "Converted") -> tuple[dict[str, ShapeRange], ...]:
    """From the policy, or the graph and the golden rows."""
    from tidegate.adapters import onnx_files
    from tidegate.core.tensorrt.profiles import profiles

    graph = onnx_files.declared(given.folder / converted.model_file, what=given.what)
    found = profiles(
        graph.inputs,
        graph.outputs,
        _observed(converted),
        given.policy.optimize.tensorrt,
        given.policy.triton.max_batch_size,
        given.policy.triton.preferred_batch_sizes,
    )
    return tuple(dict(profile) for profile in found)


def _observed(converted: "Converted") -> dict[str, tuple[tuple[int, ...], ...]]:
    """The sizes of a row that the source answered."""
    asked = (converted.inputs, *(at.inputs for at in converted.shapes if at.expected))
    return {name: tuple(rows[name].shape[1:] for rows in asked) for name in converted.inputs}


def drop_what_is_not_served(folder: Path, served: Served, model_file: str) -> None:
    """A plan is served without the graph that it was built of."""
    from tidegate.adapters import onnx_files

    if served.rung.backend != "tensorrt":
        (folder / PLAN).unlink(missing_ok=True)
        return
    onnx_files.drop(folder / model_file)
