"""Ensembles: every tensor that a step wants is there, with its type and its dims."""

from collections.abc import Callable, Iterator

from tidegate.core.lint.layout import is_ensemble
from tidegate.core.lint.subject import Judged, Repository, Rule
from tidegate.core.model_config import EnsembleStep, ModelConfig, ModelTensor


def _steps(r: Repository) -> str:
    scheduling = r.config.ensemble_scheduling
    if is_ensemble(r) and (scheduling is None or not scheduling.step):
        return "an ensemble without steps; add ensemble_scheduling.step"
    return ""


def _instances(r: Repository) -> str:
    if is_ensemble(r) and r.config.instance_group:
        return "an ensemble has no instances of its own; drop instance_group"
    return ""


def _known(r: Repository) -> Iterator[tuple[EnsembleStep, ModelConfig]]:
    scheduling = r.config.ensemble_scheduling
    for step in scheduling.step if scheduling else ():
        if step.model_name in r.others:
            yield step, r.others[step.model_name]


def _models(r: Repository) -> str:
    scheduling = r.config.ensemble_scheduling
    for step in scheduling.step if scheduling else ():
        if step.model_name not in r.others:
            return f"step {step.model_name!r} is no model of this repository; add it"
    return ""


def _batch(r: Repository) -> str:
    for step, config in _known(r):
        if r.config.max_batch_size > config.max_batch_size:
            return (
                f"max_batch_size {r.config.max_batch_size} is above {config.max_batch_size} "
                f"of its step {step.model_name}; lower it"
            )
    return ""


def _maps(r: Repository) -> str:
    for step, config in _known(r):
        needed = {t.name for t in config.input if not t.optional}
        inputs, outputs = {t.name for t in config.input}, {t.name for t in config.output}
        absent = (needed - set(step.input_map)) | (set(step.input_map) - inputs)
        absent |= set(step.output_map) - outputs
        if absent:
            return f"step {step.model_name} and its maps differ in {min(absent)!r}; map each once"
    return ""


def _sources(r: Repository) -> str:
    """A step's input comes from the ensemble's inputs or from a step, the ensemble's outputs from steps."""
    given = {t.name for t in r.config.input}
    made = {name for step, _ in _known(r) for name in step.output_map.values()}
    taken = {name for step, _ in _known(r) for name in step.input_map.values()}
    complete = not _models(r) and is_ensemble(r) and not _steps(r)
    lost = (
        sorted((taken - given - made) | ({t.name for t in r.config.output} - made))
        if complete
        else ()
    )
    return f"tensor {lost[0]!r} is used, and nothing makes it; map it" if lost else ""


def _unused(r: Repository) -> str:
    taken = {name for step, _ in _known(r) for name in step.input_map.values()}
    complete = not _models(r) and is_ensemble(r) and not _steps(r)
    idle = [t.name for t in r.config.input if t.name not in taken] if complete else ()
    return f"input {idle[0]!r} goes to no step; map it or drop it" if idle else ""


def _types(r: Repository) -> str:
    return _compare(r, lambda one, other: one.data_type == other.data_type, "data_type")


def _dims(r: Repository) -> str:
    return _compare(r, lambda one, other: _same_dims(one.dims, other.dims), "dims")


def _same_dims(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """A free axis fits any size."""
    return len(one) == len(other) and all(
        a == b or -1 in (a, b) for a, b in zip(one, other, strict=True)
    )


def _compare(r: Repository, alike: Callable[[ModelTensor, ModelTensor], bool], what: str) -> str:
    seen: dict[str, tuple[str, ModelTensor]] = {
        t.name: ("the ensemble", t) for t in r.config.tensors
    }
    for who, name, tensor in _uses(r):
        first = seen.setdefault(name, (who, tensor))
        if not alike(first[1], tensor):
            return (
                f"tensor {name!r} has another {what} in {who} than in {first[0]}; make them equal"
            )
    return ""


def _uses(r: Repository) -> Iterator[tuple[str, str, ModelTensor]]:
    for step, config in _known(r):
        inputs = {t.name: t for t in config.input}
        outputs = {t.name: t for t in config.output}
        for tensors, mapped in ((inputs, step.input_map), (outputs, step.output_map)):
            for own, name in mapped.items():
                if own in tensors:
                    yield step.model_name, name, tensors[own]


RULES = (
    Rule(name="ensemble steps", check=_steps, judged=Judged.LOG),
    Rule(name="ensemble instances", check=_instances, judged=Judged.LOG),
    Rule(name="ensemble models", check=_models, judged=Judged.ANSWER),
    Rule(name="ensemble batch", check=_batch, judged=Judged.ANSWER),
    Rule(name="ensemble maps", check=_maps, judged=Judged.ANSWER),
    Rule(name="ensemble sources", check=_sources, judged=Judged.ANSWER),
    Rule(name="ensemble inputs", check=_unused, judged=Judged.ANSWER),
    Rule(name="ensemble types", check=_types, judged=Judged.ANSWER),
    Rule(name="ensemble dims", check=_dims, judged=Judged.ANSWER),
)
