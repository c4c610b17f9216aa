"""The plan of a release in Standard mode: pods before each share, then the incumbent's place. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.core.decisions import Act
from tidegate.core.journal import ActKind, Journal
from tidegate.core.keda_scaling import candidates, wanted_for
from tidegate.core.plan_documents import PlannedAct, Replicas, WayBack
from tidegate.core.standard_manifest import COLOURS, deployment_name, overlaid, replicas_at
from tidegate.documents import Incumbent
from tidegate.policy import Policy


def onward(journal: Journal, shifts: Mapping[int, PlannedAct]) -> Iterator[PlannedAct]:
    """After the staging: each share, its pods first, and the rename that ends it."""
    assert journal.incumbent is not None  # a first release has no steps
    stable = journal.incumbent.predictor
    held, pods = 0, replicas_at(stable, 0)
    for percent, shift in shifts.items():
        if pods < (wanted := replicas_at(stable, percent)):
            why = f"give the candidate {wanted} pods before it gets {percent} %"
            yield PlannedAct(
                kind=ActKind.SCALE, percent=held, why=why, evidence="all of them ready"
            )
        held, pods = percent, wanted
        yield shift
    why = "make the candidate the stable predictor"
    yield PlannedAct(
        kind=ActKind.RENAME, percent=100, why=why, evidence="none of its pods restarted"
    )


def followed(journal: Journal, policy: Policy) -> Iterator[PlannedAct]:
    """Where KEDA scales: from the first share on; of a first release, once it is live."""
    name = deployment_name(journal.name, COLOURS[0])
    if journal.incumbent is not None:
        name = candidates(journal)
    if journal.mode != "Standard" or wanted_for(policy, name) is None:
        return
    why = f"have KEDA scale {name}"
    yield PlannedAct(kind=ActKind.FOLLOW, why=why, evidence="KEDA says that it is ready")


def unfollowed(act: Act) -> PlannedAct:
    """What is left of an earlier release would scale the candidate while it is measured."""
    return PlannedAct(kind=act.kind, why=act.why, evidence="it is gone")


def ways_back(incumbent: Incumbent) -> tuple[WayBack, ...]:
    """The incumbent never leaves before the rename; after it, it has to come up again."""
    leave = PlannedAct(kind=ActKind.SHIFT, percent=0, why=f"return traffic to {incumbent.revision}")
    drop = PlannedAct(kind=ActKind.UNSTAGE, percent=0, why="drop the candidate")
    restore = PlannedAct(
        kind=ActKind.RESTORE, percent=0, why=f"restore {incumbent.storage_uri} at 0 %"
    )
    over = PlannedAct(kind=ActKind.SHIFT, percent=100, why="give the incumbent everything")
    rename = PlannedAct(kind=ActKind.RENAME, percent=0, why="make it the stable predictor again")
    return (
        WayBack(when="at 0 %", acts=(drop,)),
        WayBack(when="with a share, up to 100 %", acts=(leave, drop)),
        WayBack(
            when="after the rename", acts=(restore, *_scaled(incumbent.predictor), over, rename)
        ),
    )


def _scaled(predictor: Mapping[str, Any]) -> Iterator[PlannedAct]:
    pods = replicas_at(predictor, 100)
    if pods > replicas_at(predictor, 0):
        yield PlannedAct(kind=ActKind.SCALE, percent=0, why=f"give the incumbent {pods} pods")


def candidate_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The predictor that KServe runs for the staged entry, at the size that 100 % asks for."""
    stable = spec["predictor"]
    merged = overlaid(stable, spec["canary"][0]["predictor"])
    return {**merged, "minReplicas": replicas_at(stable, 100)}


def needs(incumbent: Replicas, candidate: Replicas) -> dict[str, tuple[Replicas, ...]]:
    """Never a third set: KServe drops the incumbent's pods only with the rename."""
    return {
        "staged, and at every step up to 100 %": (incumbent, candidate),
        "promoted": (candidate,),
        "while a roll-back after the rename brings it back": (candidate, incumbent),
    }
