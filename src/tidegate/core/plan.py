"""What a release would do to the cluster as it is: every act, what each needs, and the way back. Pure.

The first act is the decision of the very rules that deploy drives. The later ones follow from the policy's
steps; a test holds the whole list against what a release then does.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.core import plan_standard
from tidegate.core.decisions import Act
from tidegate.core.dedicated_baseline import next_for_baseline
from tidegate.core.first_release import next_for_live, next_for_preview
from tidegate.core.journal import ActKind, Journal
from tidegate.core.observation import Observation
from tidegate.core.plan_documents import Need, PlannedAct, Replicas, WayBack
from tidegate.core.traffic import rules_of
from tidegate.policy import (
    ErrorSlo,
    LatencySlo,
    Objective,
    Policy,
    QueriedObjective,
    RestartsSlo,
)


def acts_of(
    seen: Observation | None,
    journal: Journal,
    policy: Policy,
    left: tuple[PlannedAct, ...] = (),
) -> tuple[Act, tuple[PlannedAct, ...]]:
    """The first act as the rules decide it now, and all of them with their evidence. `left`: what is removed
    of an earlier release before the staging."""
    if journal.preview:
        return _by_preview(journal, policy)
    follow = plan_standard.followed(journal, policy)
    first = rules_of(journal).next_for_stage(seen, journal, 0.0)
    assert isinstance(first, Act)  # nothing has happened yet, and the claim saw nothing foreign
    staging = PlannedAct(
        kind=first.kind, percent=first.percent, why=first.why, evidence=_staged(policy)
    )
    if journal.is_initial:
        return first, (staging, *follow)
    made, retired = _of_baseline(journal)
    shifts = {percent: _shift(percent, policy) for percent in policy.traffic.steps}
    if journal.mode == "Standard":
        onward = plan_standard.onward(journal, shifts)
        return first, (*made, *left, staging, *retired, *follow, *onward)
    return first, (*made, staging, *retired, *shifts.values())


def _of_baseline(journal: Journal) -> tuple[tuple[PlannedAct, ...], tuple[PlannedAct, ...]]:
    """What is done for a dedicated baseline before the staging, and once the gate has spoken."""
    made, gone = [], []
    for copy in journal.copies:
        create = next_for_baseline(None, copy, journal, 0.0)
        assert isinstance(create, Act)  # nothing has its name yet
        made.append(
            PlannedAct(kind=create.kind, why=create.why, evidence="ready, one right answer")
        )
        gone.append(_retirement(copy.name))
    return tuple(made), tuple(gone)


def _retirement(name: str) -> PlannedAct:
    return PlannedAct(kind=ActKind.RETIRE, why=f"remove {name}", evidence="it is gone")


def _by_preview(journal: Journal, policy: Policy) -> tuple[Act, tuple[PlannedAct, ...]]:
    """A first release: judged under another name, then live."""
    first, live = next_for_preview(None, journal, 0.0), next_for_live(None, journal, 0.0)
    assert isinstance(first, Act)  # the claim saw neither of them
    assert isinstance(live, Act)
    gone = f"remove {journal.preview}"
    return first, (
        PlannedAct(kind=first.kind, why=first.why, evidence=_staged(policy)),
        PlannedAct(
            kind=live.kind, percent=live.percent, why=live.why, evidence="ready, one right answer"
        ),
        *plan_standard.followed(journal, policy),
        PlannedAct(kind=ActKind.DISCARD, why=gone, evidence=f"only {journal.name} is left"),
    )


def _shift(percent: int, policy: Policy) -> PlannedAct:
    traffic = policy.traffic
    judged = ", ".join(_names(o for o in policy.slo.objectives if _is_live(o)))
    return PlannedAct(
        kind=ActKind.SHIFT,
        percent=percent,
        why=f"give the candidate {percent} %",
        bake_s=traffic.bake_s,
        max_bake_s=traffic.max_bake_s,
        evidence=f"{traffic.min_requests} requests or more, live gate on {judged}",
    )


def _staged(policy: Policy) -> str:
    load, judged = policy.load, ", ".join(_names(policy.slo.objectives))
    blocks = f"{load.pairs} pairs of blocks of {load.block_requests} requests"
    return f"ready, one right answer, load test ({blocks}), gate on {judged}"


def _is_live(objective: Objective) -> bool:
    if isinstance(objective, QueriedObjective):
        return objective.live
    return isinstance(objective, ErrorSlo | LatencySlo | RestartsSlo)


def _names(objectives: Iterable[Objective]) -> list[str]:
    return [o.name or f"{o.kind} {getattr(o, 'quantile', '')}".strip() for o in objectives]


def ways_back(journal: Journal) -> tuple[WayBack, ...]:
    """What a roll-back does, by how far the release has come."""
    if journal.incumbent is None:
        gone = PlannedAct(kind=ActKind.DELETE, why="before this release nothing served")
        if journal.preview:
            discard = PlannedAct(kind=ActKind.DISCARD, why=f"remove {journal.preview}")
            return (
                WayBack(when=f"before {journal.name} is created", acts=(discard,)),
                WayBack(when="until it is proven", acts=(gone, discard)),
            )
        return (WayBack(when="at any time", acts=(gone,)),)
    retired = tuple(_retirement(copy.name) for copy in journal.copies)
    if journal.mode == "Standard":
        dark, *onward = plan_standard.ways_back(journal.incumbent)
        return (dark.model_copy(update={"acts": (*retired, *dark.acts)}), *onward)
    revision, uri = journal.incumbent.revision, journal.incumbent.storage_uri
    leave = PlannedAct(kind=ActKind.SHIFT, percent=0, why=f"return traffic to {revision}")
    restore = PlannedAct(kind=ActKind.RESTORE, percent=0, why=f"restore {uri} at 0 %")
    calm, once = _taking_over(journal.steps_back), _taking_over((100,))
    return (
        WayBack(when="at 0 %", acts=(*retired, restore, *calm)),
        WayBack(when="between 0 and 100 %", acts=(leave, restore, *calm)),
        WayBack(when="at 100 %, users get errors", acts=(leave, restore, *calm)),
        WayBack(when="at 100 %, for another reason", acts=(restore, *once)),
    )


def _taking_over(steps: tuple[int, ...]) -> tuple[PlannedAct, ...]:
    """The re-created incumbent takes over: by steps from its like, at once from the candidate."""
    why = "give the incumbent, re-created, {} %"
    return tuple(PlannedAct(kind=ActKind.SHIFT, percent=p, why=why.format(p)) for p in steps)


# -- capacity


def needs(
    now: Mapping[str, Any] | None,
    spec: Mapping[str, Any],
    *,
    mode: str,
    preview: bool = False,
    copies: Iterable[Mapping[str, Any]] = (),
) -> tuple[Need, ...]:
    """What must run together at each point, from the predictor before and the spec after the staging.

    A roll-back needs most: the incumbent, the bad candidate, and the incumbent's template re-created as
    a third revision, because Knative makes a new revision of every template (a staged one at 0 % keeps
    its minReplicas too). `copies`: the predictors of dedicated baselines, which are gone before all but
    the load test.
    """
    is_canary = mode == "Standard" and now is not None
    then = plan_standard.candidate_of(spec) if is_canary else spec["predictor"]
    candidate = _replicas("the candidate", then)
    if preview:
        judged = _replicas("the preview", then)
        return (
            _need("while the preview is judged", judged),
            _need("while the real one comes up", judged, candidate),
            _need("promoted", candidate),
        )
    if now is None:
        return (_need("from the first act on", candidate),)
    incumbent, again = _replicas("the incumbent", now), _replicas("the incumbent re-created", now)
    dark = candidate.model_copy(update={"replicas": 1}) if is_canary else candidate
    beside = tuple(_replicas("the dedicated baseline", one) for one in copies)
    measured = (_need("during the load test", incumbent, dark, *beside),) if beside else ()
    if is_canary:
        listed = plan_standard.needs(incumbent, candidate)
        return (*measured, *(_need(when, *running) for when, running in listed.items()))
    return (
        *measured,
        _need("staged, and at every step below 100 %", incumbent, candidate),
        _need("promoted", candidate),
        _need("while a roll-back repairs the spec", incumbent, candidate, again),
    )


def _replicas(of: str, predictor: Mapping[str, Any]) -> Replicas:
    asked = (predictor.get("model") or {}).get("resources") or {}
    resources = {**(asked.get("limits") or {}), **(asked.get("requests") or {})}
    return Replicas(
        of=of,
        replicas=int(predictor.get("minReplicas") or 1),
        resources={key: str(value) for key, value in resources.items()},
    )


def _need(when: str, *running: Replicas) -> Need:
    devices: dict[str, int] = {}
    for one in running:
        for key, value in one.resources.items():
            if "/" in key and value.isdigit():  # extended resources are whole numbers
                devices[key] = devices.get(key, 0) + one.replicas * int(value)
    return Need(when=when, running=running, devices=devices)
