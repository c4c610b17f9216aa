"""What the journal recorded of its release's own documents, so that anybody can go on with it."""

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from tidegate.core.journal import Journal
from tidegate.documents import Deployment, Outcome
from tidegate.errors import DocumentError, UnavailableError
from tidegate.policy import Policy

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes

M = TypeVar("M", bound=BaseModel)


def policy_of(journal: Journal) -> Policy:
    """The policy that the journal recorded. Raises DocumentError."""
    return _parsed(Policy, journal.policy, journal, "policy")


def deployment_of(journal: Journal) -> Deployment:
    """The Deployment that the journal recorded. Raises DocumentError."""
    return _parsed(Deployment, journal.deployment, journal, "deployment")


def ended_as(kube: "Kubernetes", journal: Journal, outcome: Outcome) -> Journal:
    """The journal of a release that has ended, as it is now; where it cannot be read any more, as the outcome
    says, for that changes nothing of how it ended."""
    from tidegate.adapters.release_lock import load_journal

    try:
        now = load_journal(kube, journal.namespace, journal.name)
    except UnavailableError:
        now = None
    if now is not None and now.journal.release_id == outcome.release_id:
        return now.journal
    named = {"release_id": outcome.release_id, "subject": outcome.subject}
    return journal.model_copy(update=named).ended(outcome.result, outcome.reason)


def _parsed(kind: type[M], held: dict[str, Any], journal: Journal, what: str) -> M:
    """As JSON, in which the strict documents know their own words."""
    try:
        return kind.model_validate_json(json.dumps(held))
    except ValidationError as error:
        raise DocumentError(
            f"the {what} in the journal of release {journal.release_id} is invalid "
            f"({error.error_count()} fields); run: tidegate abort {journal.name}"
        ) from error
