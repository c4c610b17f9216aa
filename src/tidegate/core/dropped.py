"""Fields of the predictor that one release wrote and the next does not name: they are taken away. Pure.

A staging is a merge-patch (RFC 7386), which leaves what it does not name, so it says null for them. That is
for what the release that put the incumbent there wrote itself, as long as the API still holds it as it did
then. What somebody else wrote or changed is never touched.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidegate.core.isvc.typed import Json
from tidegate.documents import Strict

# Maps whose keys have owners of their own; every other object goes as one.
OPEN = {
    ("labels",), ("annotations",), ("nodeSelector",), ("model",), ("model", "resources"),
    ("model", "resources", "limits"), ("model", "resources", "requests"),
}  # fmt: skip


class Dropped(Strict):
    """One field, and its value as the API held it when it was written."""

    path: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        return field_of(self.path)


def field_of(path: Iterable[str]) -> str:
    """A field of the predictor as a person reads it."""
    steps = (f"[{step}]" if "." in step or "/" in step else f".{step}" for step in path)
    return "spec.predictor" + "".join(steps)


def dropped(wrote: Json, named: Json, held: Json, path: tuple[str, ...] = ()) -> Iterator[Dropped]:
    """Of what was sent (`wrote`) all that `named` lacks, with the value that the API made of it (`held`)."""
    for key in (key for key in wrote if key in held):
        ours, theirs, here = wrote[key], held[key], (*path, key)
        if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
            if key not in named:
                yield Dropped(path=here, value=theirs)
        elif key in named:
            if isinstance(named[key], Mapping):
                yield from dropped(dict(ours), dict(named[key]), dict(theirs), here)
        elif here in OPEN:
            yield from dropped(dict(ours), {}, dict(theirs), here)
        else:
            yield Dropped(path=here, value=theirs)


def held_still(drops: Iterable[Dropped], predictor: Json) -> Iterator[Dropped]:
    """Those that nobody has changed or removed since."""
    return (one for one in drops if _at(predictor, one.path) == one.value)


def _at(item: Any, path: Iterable[str]) -> Any:
    for step in path:
        if not isinstance(item, Mapping) or step not in item:
            return _NOTHING
        item = item[step]
    return item


_NOTHING = object()  # equal to no value, None neither


def without(wanted: Json, drops: Iterable[Dropped], predictor: Json) -> Json:
    """The merge-patch `wanted` that also takes these away from the predictor as it is."""
    nulls: Json = {}
    for one in held_still(drops, predictor):
        inner = nulls
        for step in one.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[one.path[-1]] = None
    return _merged(wanted, nulls, predictor)


def _merged(wanted: Json, nulls: Json, held: Json) -> Json:
    patch = dict(wanted)
    for key, below in nulls.items():
        if below is None or (key not in wanted and _is_all(below, held[key])):
            patch[key] = None
        else:
            patch[key] = _merged(wanted.get(key, {}), below, held[key])
    return patch


def _is_all(nulls: Json, held: Json) -> bool:
    """Nothing would be left of it."""
    return nulls.keys() == held.keys() and all(
        below is None or _is_all(below, held[key]) for key, below in nulls.items()
    )
