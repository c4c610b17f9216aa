"""Whether the cluster's nodes have room for a release's pods, before one is staged. Pure.

What a pod asks for is read from its template as it is rendered, wherever the user wrote it; what a node has
left is its `allocatable`, less what the pods there request where those may be read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidegate.core.checkup import Check, fail, ok, unknown, warn
from tidegate.core.room.demand import Demand, Moment
from tidegate.core.room.gpus import nowhere, plan_class, sharing, too_old
from tidegate.core.room.node import Node, read
from tidegate.core.room.placing import fit, slots
from tidegate.core.room.shape import MEASURED, Shape
from tidegate.policy import Policy

Json = Mapping[str, Any]
TITLE = "room on the nodes"
SURGE = "add nodes, lower serving.min_replicas, or ask for less in serving.resources"
SURGE_OF_GPUS = (
    "add nodes, lower serving.min_replicas, cut the GPUs smaller (MIG), or share them for the time of the "
    "release"
)
STAYS = (
    "a candidate that finds no room stays Pending, and the release ends with production as it was"
)
REPAIR = (
    "a roll-back returns the traffic at once all the same; its spec stays unrepaired until there is room, "
    "and sweep tries again"
)
PODS_UNREAD = "let the account list the pods of all namespaces (deploy/components/room)"
MOST_NAMED = 3  # nodes, with what keeps a pod off each
MOST_PODS = 10_000  # more room than any release takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What could be read: the nodes, and every pod of the cluster; None where those may not be."""

    nodes: Sequence[Json]
    pods: Sequence[Json] | None = None


def asks(policy: Policy, demand: Demand) -> bool:
    """Whether nodes are looked at. A release without devices needs no right to read them, unless its policy
    asks for it."""
    return policy.serving.preflight != "auto" or any(shape.devices for shape in demand.shapes)


def preflight(
    policy: Policy, cluster: Cluster, mode: str, demand: Demand | None = None
) -> Iterator[Check]:
    """What is wrong with the nodes for this policy's pods, and what to do; nothing when it asks nothing of
    them.

    FAIL: the new pods cannot be scheduled on these nodes. `demand`: what the release holds at once; None = a
    release over an incumbent like the policy's own predictor.
    """
    wanted = demand or Demand.over(policy, None, mode)
    if not asks(policy, wanted):
        return
    if policy.serving.preflight == "refuse" and cluster.pods is None:
        yield unknown(TITLE, "the pods that are there may not be read", PODS_UNREAD)
    nodes = read(cluster.nodes, cluster.pods, but=(policy.namespace, policy.name))
    unfit = [found for shape in wanted.shapes if (found := _unfit(nodes, shape, policy))]
    if unfit:
        yield unfit[0]
        return
    yield _room(nodes, wanted, policy, is_known=cluster.pods is not None)
    fitting = [one for one in nodes if not _why(one, wanted.own, policy)]
    if gpu := policy.serving.gpu:
        yield from sharing(_title(wanted.own), fitting, gpu)
        yield from plan_class(_title(wanted.own), fitting, policy)


def _title(shape: Shape) -> str:
    return f"GPUs {', '.join(shape.devices)}" if shape.devices else TITLE


def _unfit(nodes: Sequence[Node], shape: Shape, policy: Policy) -> Check | None:
    """No node takes one such pod, however empty the node is."""
    usable = [one for one in nodes if one.takes_pods]
    for device in shape.devices:
        if not any(one.allocatable.get(device) for one in usable):
            return fail(_title(shape), *nowhere(device, usable))
    offering = [one for one in nodes if all(one.allocatable.get(d) for d in shape.devices)]
    why = {one.name: _why(one, shape, policy) for one in offering}
    if any(not said for said in why.values()):
        return None
    told = "; ".join(f"{name}: {said}" for name, said in list(why.items())[:MOST_NAMED])
    more = f"; and {len(why) - MOST_NAMED} more" if len(why) > MOST_NAMED else ""
    found = f"one pod asks {shape}, and no node fits ({told or 'there is none'}{more})"
    return fail(
        _title(shape), found, "correct what serving asks for and where, or label or add a node"
    )


def _why(node: Node, shape: Shape, policy: Policy) -> str:
    """Why the pod never stands there; '' when it does once there is room."""
    whole = replace(node, free=node.allocatable)
    gpu = policy.serving.gpu if shape.devices else None
    return node.bars(shape) or whole.lacks(shape) or too_old(node, gpu)


def _room(nodes: Sequence[Node], wanted: Demand, policy: Policy, *, is_known: bool) -> Check:
    """A pod's resources are all of one node, so pods are placed node by node."""
    open_to = [one for one in nodes if not _why(one, wanted.own, policy)]
    free = _placeable(nodes, wanted.own, policy)
    count = slots(open_to, wanted.own, MOST_PODS)
    found = (
        f"room for {count} pods on {len(open_to)} nodes, {_known(wanted.own, is_known=is_known)}"
    )
    title, surge = _title(wanted.own), SURGE_OF_GPUS if wanted.own.devices else SURGE

    def lacking(moments: tuple[Moment, ...]) -> tuple[int, bool | None]:
        """The pods of the first moment that does not fit, or may not; 0 = all do."""
        each = ((wanted.pods(one), fit(free, wanted.groups(one))) for one in moments)
        return next(((pods, fits) for pods, fits in each if not fits), (0, True))

    least, fits = lacking(wanted.least)
    if least and fits is None:
        said = f"{found}; whether {wanted.together}, {least} pods, all find one is not known: too many ways"
        return unknown(title, said, surge)
    if least:
        best = _best(open_to, wanted.own)
        said = (
            f"{found}; {wanted.together} take {least} at least; one pod asks {wanted.own}, {best}"
        )
        return fail(title, said, surge)
    if usual := lacking(wanted.usual)[0]:
        return warn(title, f"{found}; {wanted.together} take {usual}", f"{surge}; {STAYS}")
    if whole := lacking(wanted.repair)[0]:
        return warn(title, f"{found}; repairing a roll-back takes {whole}", REPAIR)
    return ok(title, found)


def _placeable(nodes: Sequence[Node], own: Shape, policy: Policy) -> list[Node]:
    """The nodes; one whose GPU is too old is as if it were cordoned, to all but what stands there already."""
    gpu = policy.serving.gpu if own.devices else None
    return [replace(one, is_cordoned=True) if too_old(one, gpu) else one for one in nodes]


def _known(own: Shape, *, is_known: bool) -> str:
    others = "beside what other pods request" if is_known else "whoever holds it now"
    if not own.unsaid:
        return others
    return f"{others}; not counted, for the runtime says it: {', '.join(own.unsaid)}"


def _best(nodes: Sequence[Node], own: Shape) -> str:
    """What is left on the node with the most of it."""
    if not nodes:
        return "and no node is open to it"
    best = max(
        nodes, key=lambda one: (one.holds(own, MOST_PODS), [_part(one, n) for n in _named(own)])
    )
    return f"and the best node {best.name} has {best.left(_named(own))}"


def _named(own: Shape) -> list[str]:
    return [name for name in (*own.devices, *MEASURED) if name in own.asks]


def _part(node: Node, name: str) -> float:
    return float(node.free.get(name, 0))
