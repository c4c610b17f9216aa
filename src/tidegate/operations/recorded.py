"""What the journal recorded of its release's own documents, so that anybody can go on with it."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tidegate.core.journal import Journal
from tidegate.documents import Deployment
from tidegate.errors import DocumentError
from tidegate.policy import Policy

M = TypeVar("M", bound=BaseModel)


def policy_of(journal: Journal) -> Policy:
    """The policy that the journal recorded. Raises DocumentError."""
    return _parsed(Policy, journal.policy, journal, "policy")


def deployment_of(journal: Journal) -> Deployment:
    """The Deployment that the journal recorded. Raises DocumentError."""
    return _parsed(Deployment, journal.deployment, journal, "deployment")


def _parsed(kind: type[M], held: dict[str, Any], journal: Journal, what: str) -> M:
    """As JSON, in which the strict documents know their own words."""
    try:
        return kind.model_validate_json(json.dumps(held))
    except ValidationError as error:
        raise DocumentError(
            f"the {what} in the journal of release {journal.release_id} is invalid "
            f"({error.error_count()} fields); run: tidegate abort {journal.name}"
        ) from error
