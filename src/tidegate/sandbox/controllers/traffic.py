"""Who gets how much traffic, and what counts as rolled out: KServe's and Knative's rules. Pure.

Values in, values out; the reconcilers read objects into these values and write them back. The rules
are those of KServe's ksvc reconciler and status propagation and of Knative's route and configuration
reconcilers, traps included: a rule that looks wrong here is wrong there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One entry of a traffic block; `revision` is empty while `latest` is not resolved."""

    percent: int
    latest: bool
    revision: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What an InferenceService's status remembers of one component."""

    latest_created: str = ""
    latest_ready: str = ""
    latest_rolledout: str = ""
    previous_rolledout: str = ""
    traffic: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the Knative Service says of itself."""

    latest_created: str = ""
    latest_ready: str = ""
    traffic: tuple[Target, ...] = ()


def desired(canary: int | None, rolled_out: str, *, tag_routing: bool) -> tuple[Target, ...]:
    """The traffic block that KServe writes; without a rolled-out revision the percent is ignored."""
    tag = "latest" if tag_routing else ""
    if canary is None or not rolled_out:
        return (Target(percent=100, latest=True, tag=tag),)
    latest = Target(percent=canary, latest=True, tag=tag)
    if canary >= 100:
        return (latest,)
    # `prev` is set with or without tag routing
    return (latest, Target(percent=100 - canary, latest=False, revision=rolled_out, tag="prev"))


def refusal(targets: Collection[Target]) -> str:
    """Why Knative's webhook would refuse a traffic block; empty when it would not."""
    for index, target in enumerate(targets):
        if not 0 <= target.percent <= 100:
            return f"expected 0 <= {target.percent} <= 100: spec.traffic[{index}].percent"
    total = sum(target.percent for target in targets)
    return "" if total == 100 else f"Traffic targets sum to {total}, want 100: spec.traffic"


def observe(before: Rollout, seen: Observed) -> Rollout:
    """The status after KServe has looked at the Knative Service once."""
    rolled = replace(before, latest_created=seen.latest_created)
    for target in seen.traffic:
        if target.latest and target.revision == seen.latest_ready:
            rolled = _rolled_out(rolled, seen, target)
    return replace(rolled, latest_ready=seen.latest_ready, traffic=seen.traffic)


def _rolled_out(rolled: Rollout, seen: Observed, target: Target) -> Rollout:
    if rolled.latest_rolledout != seen.latest_ready:
        if target.percent == 100:
            return replace(
                rolled,
                previous_rolledout=rolled.latest_rolledout,
                latest_rolledout=seen.latest_ready,
            )
        return rolled
    share = sum(t.percent for t in seen.traffic if t.revision == target.revision)
    is_newest = seen.latest_ready == seen.latest_created
    if is_newest and target.percent < 100 and share == 100 and rolled.previous_rolledout:
        # The percent was lowered on a model that was fully rolled out: KServe reads it as a roll-back.
        return replace(rolled, latest_rolledout=rolled.previous_rolledout)
    return rolled


def resolve(
    wanted: Collection[Target], latest_ready: str, ready: Mapping[str, bool]
) -> tuple[Target, ...] | str:
    """The traffic block with revisions filled in, or why the Route cannot be programmed.

    `latest` is the newest Ready revision. One target that is not Ready holds everything up, a
    percent of 0 included: this is how a crashed canary blocks its own roll-back.
    """
    resolved: list[Target] = []
    for target in wanted:
        name = latest_ready if target.latest else target.revision
        if not name:
            return "Configuration does not have any ready Revision."
        if not ready.get(name, False):
            return f'Revision "{name}" referenced in traffic is not ready.'
        resolved.append(replace(target, revision=name))
    return tuple(resolved)


def latest_ready(current: str, generations: Mapping[str, int], ready: Collection[str]) -> str:
    """The Configuration's newest Ready revision.

    It never goes back by itself: a revision that was the newest Ready one and broke stays named,
    until it is deleted; then all that remain are looked at.
    """
    floor = generations.get(current, 0)
    candidates = [name for name in ready if generations[name] >= floor]
    newest = max(candidates, key=lambda name: generations[name], default="")
    return newest or (current if current in generations else "")
