"""Whether pods can stand together on nodes: exactly, whatever order a scheduler takes. Pure.

First fit finds most of what fits. Where it does not, every mix of pods that a node can hold is kept open: the
pods that stand on the nodes so far are a vector of counts, and of those only the greatest are kept. So what
fits at all is found; one more node, or one pod fewer, never makes it worse. A pod is never split over nodes.
Pods of two kinds are few vectors; those of three may be too many to try, which is then not known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod

from tidegate.core.room.node import Node
from tidegate.core.room.shape import Shape

Counts = tuple[int, ...]
Group = tuple[Shape, int]
MOST_TRIED = 1_000_000  # mixes of pods


def fit(nodes: Sequence[Node], groups: Iterable[Group]) -> bool | None:
    """There is a node for each of the pods; None: first fit finds none, and the mixes are too many to try."""
    wanted = _kinds(groups)
    if any(slots(nodes, shape, count) < count for shape, count in wanted):
        return False
    return _first_fit(nodes, wanted) or _any_fit(nodes, wanted)


def _first_fit(nodes: Sequence[Node], wanted: Sequence[Group]) -> bool:
    left = list(nodes)
    for shape, count in wanted:
        missing = count
        for at, node in enumerate(left):
            here = node.holds(shape, missing)
            left[at], missing = _less(node, shape, here), missing - here
        if missing:
            return False
    return True


def _any_fit(nodes: Sequence[Node], wanted: Sequence[Group]) -> bool | None:
    shapes, need = [shape for shape, _ in wanted], tuple(count for _, count in wanted)
    reached: set[Counts] = {tuple(0 for _ in need)}
    tried = 0
    for node in nodes:
        tried += prod(node.holds(*group) + 1 for group in wanted[:-1])
        mixes = _on(node, shapes, need) if tried < MOST_TRIED else set()
        tried += len(reached) * len(mixes)
        if tried >= MOST_TRIED:
            return None
        reached = _greatest(
            tuple(min(a + b, most) for a, b, most in zip(held, more, need, strict=True))
            for held in reached
            for more in mixes
        )
        if need in reached:
            return True
    return False


def slots(nodes: Iterable[Node], shape: Shape, most: int) -> int:
    """How many such pods alone have room, up to `most`."""
    found = 0
    for node in nodes:
        found += node.holds(shape, most - found)
        if found >= most:
            break
    return found


def _kinds(groups: Iterable[Group]) -> list[Group]:
    """Equal pods together."""
    found: list[Group] = []
    for shape, count in groups:
        at = next((i for i, (one, _) in enumerate(found) if one == shape), None)
        if at is None:
            found.append((shape, count))
        else:
            found[at] = (shape, found[at][1] + count)
    return [(shape, count) for shape, count in found if count > 0]


def _on(node: Node, shapes: Sequence[Shape], need: Counts) -> set[Counts]:
    """The greatest mixes of pods that one node holds."""
    if not shapes:
        return {()}
    found = []
    for count in range(node.holds(shapes[0], need[0]) + 1):
        left = _less(node, shapes[0], count)
        found += [(count, *rest) for rest in _on(left, shapes[1:], need[1:])]
    return _greatest(found)


def _less(node: Node, shape: Shape, count: int) -> Node:
    if not count:
        return node
    taken = {n: free - count * shape.asks.get(n, 0) for n, free in node.free.items()}
    return replace(node, free=taken)


def _greatest(found: Iterable[Counts]) -> set[Counts]:
    """Without those that another one is at least as great as, in every kind."""
    last: dict[Counts, int] = {}
    for *head, count in found:
        last[tuple(head)] = max(last.get(tuple(head), 0), count)
    kept: set[Counts] = set()
    for first, count in sorted(last.items(), reverse=True):
        one = (*first, count)
        if not any(all(a <= b for a, b in zip(one, other, strict=True)) for other in kept):
            kept.add(one)
    return kept
