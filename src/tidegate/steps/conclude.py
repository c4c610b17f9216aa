"""conclude: the run ends green or red, by how the release ended."""

from dataclasses import dataclass

from tidegate.documents import Result
from tidegate.errors import DocumentError, NotPromotedError, RollbackFailedError
from tidegate.steps.registry import InPolicy, step

GREEN = {Result.PROMOTED, Result.UNCHANGED}


@dataclass(frozen=True)
class Concluded:
    """How the release ended."""

    outcome: str


@step(takes_refusal=True)
def conclude(policy_document: InPolicy, outcome: str, reason: str) -> Concluded:
    """Fail the run when the release was not promoted, unless the policy wants that green."""
    from tidegate.adapters.files import read_policy

    policy = read_policy(policy_document)
    try:
        result = Result(outcome)
    except ValueError as error:
        known = ", ".join(word.value for word in Result)
        raise DocumentError(
            f"outcome {outcome!r} is none of {known}; pass a step's outcome"
        ) from error
    if result is Result.ROLLBACK_FAILED:
        raise RollbackFailedError(reason)
    if result not in GREEN and policy.on_reject == "fail":
        raise NotPromotedError(f"{result}: {reason}")
    return Concluded(outcome=result.value)
