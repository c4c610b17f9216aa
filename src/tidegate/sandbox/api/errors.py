"""Refusals of the emulated API, each with the `Status` body that a real API server sends.

The wording is the real server's, because clients and people match on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import Json, Kind


@dataclass(frozen=True, slots=True)
class Cause:
    """One field at fault."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def as_json(self) -> Json:
        """The form it takes in `details.causes`."""
        return {"field": self.field, "message": self.message, "reason": self.reason}


class ApiError(Exception):
    """A request that the API refuses."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details or {}

    def body(self) -> Json:
        """The `Status` object."""
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message, "reason": self.reason, "code": self.code}
        return status | ({"details": self.details} if self.details else {})


def _details(kind: Kind, name: str) -> Json:
    group = {"group": kind.group} if kind.group else {}
    return {"name": name, "kind": kind.plural} | group


def not_found(kind: Kind, name: str) -> ApiError:
    """No such object."""
    message = f'{kind.resource} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(kind, name))


def no_such_path() -> ApiError:
    """No such resource type; kubectl turns this wording into its own."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def already_exists(kind: Kind, name: str) -> ApiError:
    """Created twice."""
    message = f'{kind.resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(kind, name))


def conflict(kind: Kind, name: str, why: str | None = None) -> ApiError:
    """The optimistic lock failed."""
    default = (
        "the object has been modified; please apply your changes to the latest version"
        " and try again"
    )
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why or default}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> ApiError:
    """The object breaks a rule of its schema."""
    said = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = said[0] if len(said) == 1 else "[" + ", ".join(said) + "]"
    title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details: Json = {"name": name, "kind": kind.kind}
    details |= {"group": kind.group} if kind.group else {}
    details["causes"] = [cause.as_json() for cause in causes]
    return ApiError(422, "Invalid", f'{title} "{name}" is invalid: {listed}', details)


def denied(webhook: str, message: str) -> ApiError:
    """A validating webhook said no: 403, which is controller-runtime's answer (not 400 or 422)."""
    text = f'admission webhook "{webhook}" denied the request: {message}'
    return ApiError(403, "Forbidden", text)


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def gone(since: int, oldest: int) -> ApiError:
    """A watch from a version that is no longer kept."""
    message = f"too old resource version: {since} ({oldest})"
    return ApiError(410, "Expired", message)


def method_not_allowed() -> ApiError:
    """The resource has no such verb."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message)


def unsupported_media(accepted: Sequence[str]) -> ApiError:
    """The body's format is not one that this resource takes."""
    listed = ", ".join(accepted)
    message = (
        f"the body of the request was in an unknown format - accepted media types include: {listed}"
    )
    return ApiError(415, "UnsupportedMediaType", message)
