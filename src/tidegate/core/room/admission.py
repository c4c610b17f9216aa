"""May a release begin on these nodes? (findings of the preflight, policy) -> why not. Pure."""

from collections.abc import Iterable

from tidegate.core.checkup import Check, State, unknown, warn
from tidegate.core.decisions import Refuse
from tidegate.core.journal import Journal
from tidegate.core.room.demand import Demand
from tidegate.core.room.preflight import TITLE
from tidegate.documents import Word
from tidegate.policy import Policy

READABLE = "let the account list nodes (ClusterRole tidegate-deploy of deploy/base)"
GO_ON = "or write serving.preflight: report"
GROWING = f"{GO_ON} where the cluster adds nodes when pods ask for them"


def demand_of(journal: Journal, policy: Policy) -> Demand:
    """What this release holds at once."""
    if journal.incumbent is None:
        return Demand.of_first(policy, preview=bool(journal.preview))
    return Demand.over(policy, journal.incumbent.predictor, journal.mode)


def unread(error: str) -> Check:
    """The nodes may not be read, so nobody knows whether there is room."""
    return unknown(TITLE, f"the nodes may not be read ({error})", READABLE)


def admitted(
    checks: Iterable[Check], policy: Policy, *, is_urgent: bool = False
) -> Refuse | tuple[str, ...]:
    """What is to be told of the nodes by a release that may begin; or why it may not.

    Unknown is not good: it is refused too, unless the policy says `report`. A way back to what was promoted
    before (`is_urgent`) is never kept from being tried.
    """
    wrong = [one for one in checks if one.state is not State.OK]
    stops = [one for one in wrong if one.state in {State.FAIL, State.UNKNOWN}]
    if stops and _refuses(policy) and not is_urgent:
        first = stops[0]
        otherwise = GO_ON if first.state is State.UNKNOWN else GROWING
        reason = f"{first.name}: {first.found}; {first.remedy}, {otherwise}"
        return Refuse(word=Word.INVALID, reason=reason)
    return tuple(f"{one.name}: {one.state}, {one.found}; {one.remedy}" for one in wrong)


def as_the_policy_says(checks: Iterable[Check], policy: Policy) -> list[Check]:
    """For a person who asks beforehand: what deploy only reports fails no release."""
    if _refuses(policy):
        return list(checks)
    return [
        warn(one.name, one.found, one.remedy) if one.state is State.FAIL else one for one in checks
    ]


def _refuses(policy: Policy) -> bool:
    return policy.serving.preflight != "report"
