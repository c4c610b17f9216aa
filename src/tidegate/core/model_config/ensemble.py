"""Models in a row as one: which tensor goes where, and the ensemble's own config. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.core.model_config.scheduling import EnsembleStep, ModelEnsembling
from tidegate.core.model_config.tensors import ModelInput, ModelOutput
from tidegate.core.model_config.whole import ModelConfig
from tidegate.errors import DocumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A step: its config, its version, and where the policy says that its inputs come from."""

    config: ModelConfig
    version: int
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Wiring:
    """What is known so far: inputs of the whole, and outputs of steps by `<model>.<output>`."""

    raw: dict[str, ModelInput] = field(default_factory=dict)
    made: dict[str, ModelOutput] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    maps: list[dict[str, str]] = field(default_factory=list)


def ensemble(
    name: str,
    members: tuple[Member, ...],
    *,
    outputs: Mapping[str, str],
    metric_tags: Mapping[str, str],
) -> ModelConfig:
    """The ensemble of these steps, in this order. Raises DocumentError for a tensor that nothing makes."""
    wiring, previous = _Wiring(), None
    for member in members:
        _wire(wiring, member, previous)
        previous = member
    named = _outputs(wiring, outputs)
    sizes = [member.config.max_batch_size for member in members]
    return ModelConfig(
        name=name,
        platform="ensemble",
        max_batch_size=min(sizes),
        input=tuple(
            ModelInput(name=key, data_type=t.data_type, dims=t.dims)
            for key, t in wiring.raw.items()
        ),
        output=tuple(
            ModelOutput(name=key, data_type=t.data_type, dims=t.dims)
            for key, t in ((key, wiring.made[source]) for key, source in named.items())
        ),
        ensemble_scheduling=ModelEnsembling(step=_steps(wiring, members, named)),
        metric_tags=metric_tags,
    )


def _wire(wiring: _Wiring, member: Member, previous: Member | None) -> None:
    """By what is said, else by equal names, else from the one output before to the one input left."""
    wanted = {t.name: t for t in member.config.input}
    strays = set(member.inputs) - set(wanted)
    if strays:
        raise DocumentError(
            f"repository: {member.config.name} has no input {min(strays)!r}; it has {', '.join(wanted)}"
        )
    found = {n: _source(wiring, member, n) for n in wanted}
    left = [name for name, source in found.items() if not source]
    before = _keys(previous) if previous else []
    if len(left) == 1 and len(before) == 1 and before[0] not in found.values():
        found[left[0]] = before[0]
    for name, source in found.items():
        key = found[name] = source or name
        if key in wiring.made:
            wiring.taken.add(key)
        else:
            wiring.raw.setdefault(key, wanted[name])
    wiring.maps.append(found)
    wiring.made |= dict(zip(_keys(member), member.config.output, strict=True))


def _keys(member: Member) -> list[str]:
    return [f"{member.config.name}.{t.name}" for t in member.config.output]


def _source(wiring: _Wiring, member: Member, name: str) -> str:
    """'' where nothing says it."""
    said = member.inputs.get(name, "")
    if "." in said and said not in wiring.made:
        known = ", ".join(wiring.made) or "nothing"
        raise DocumentError(
            f"repository: {member.config.name} takes {name} from {said!r}, which no step before it makes; "
            f"they make {known}"
        )
    return said or next((k for k in reversed(wiring.made) if wiring.made[k].name == name), "")


def _outputs(wiring: _Wiring, said: Mapping[str, str]) -> dict[str, str]:
    """Name in the whole -> `<model>.<output>`."""
    if said:
        _check_outputs(wiring, said)
        return dict(said)
    named: dict[str, str] = {}
    for key, tensor in wiring.made.items():
        if key in wiring.taken:
            continue
        if tensor.name in named or tensor.name in wiring.raw:
            raise DocumentError(
                f"repository: {tensor.name!r} would be two tensors of the ensemble; name its outputs in "
                "repository.outputs"
            )
        named[tensor.name] = key
    return named


def _check_outputs(wiring: _Wiring, said: Mapping[str, str]) -> None:
    """A tensor is of one step and has one name, so an output is no input and no other output."""
    sources = list(said.values())
    for name, source in said.items():
        if source not in wiring.made:
            raise DocumentError(
                f"repository.outputs: {source!r} is made by no step; they make {', '.join(wiring.made)}"
            )
        if name in wiring.raw:
            raise DocumentError(
                f"repository.outputs: {name!r} is an input of the ensemble, too; use another name"
            )
        if sources.count(source) > 1:
            raise DocumentError(f"repository.outputs: {source!r} has two names; keep one")


def _steps(
    wiring: _Wiring, members: tuple[Member, ...], named: Mapping[str, str]
) -> tuple[EnsembleStep, ...]:
    """A tensor is called as the output that it is, else `<model>.<output>`; unused ones are not said."""
    called = {source: name for name, source in named.items()}
    needed = wiring.taken | set(called)
    return tuple(
        EnsembleStep(
            model_name=member.config.name,
            model_version=member.version,
            input_map={name: called.get(source, source) for name, source in found.items()},
            output_map={
                t.name: called.get(key, key)
                for key, t in zip(_keys(member), member.config.output, strict=True)
                if key in needed
            },
        )
        for member, found in zip(members, wiring.maps, strict=True)
    )
