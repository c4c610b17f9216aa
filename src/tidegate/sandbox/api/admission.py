"""The chain that every write passes: defaults, pruning, schema, rules of the kind."""

import re
from collections.abc import Callable
from typing import Any

from tidegate.sandbox.api import defaults, errors, settings, shapes, webhook, webhook_graph
from tidegate.sandbox.api.errors import Cause
from tidegate.sandbox.api.kinds import (
    CONFIGMAPS,
    INFERENCEGRAPHS,
    INFERENCESERVICES,
    JOBS,
    LEASES,
    Json,
    Kind,
)  # fmt: skip
from tidegate.sandbox.api.schemas import Schemas

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_NAME_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
    " and must start and end with an alphanumeric character"
)


class Admission:
    """Callable as the store's admission; `configuration` finds KServe's ConfigMap at each write."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self.configuration: Callable[[], Json | None] = lambda: None

    def __call__(self, kind: Kind, new: Json, old: Json | None) -> Json:
        """The object as it may be stored, or an ApiError."""
        item = new | {"metadata": _without_nulls(new.get("metadata") or {})}
        if kind.is_custom:
            item = _without_nulls(
                item
            )  # as the real server prunes them; `annotations: null` is none
        _check_metadata(kind, item)
        if kind == INFERENCESERVICES:
            item = defaults.defaulted(item, self._default_mode())
        item, _ = self.schemas.prune(kind, item)
        self.schemas.check(kind, item)
        _check_kind(kind, item)
        if kind == INFERENCESERVICES:
            for complaint in webhook.complaints(item, old):
                raise errors.denied(webhook.NAME, complaint)
        if kind == INFERENCEGRAPHS:
            for complaint in webhook_graph.complaints(item):
                raise errors.denied(webhook_graph.NAME, complaint)
        return item

    def _default_mode(self) -> str:
        try:
            return settings.read(self.configuration()).default_mode
        except ValueError as error:  # the webhook cannot default, so nothing is admitted
            raise errors.denied(webhook.DEFAULTER, str(error)) from error

    def unknown_fields(self, kind: Kind, item: Json) -> list[str]:
        """Paths that strict field validation refuses."""
        checked = defaults.defaulted(item) if kind == INFERENCESERVICES else item
        return self.schemas.prune(kind, checked)[1]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(below) for below in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(below) for key, below in value.items() if below is not None}


def _check_metadata(kind: Kind, item: Json) -> None:
    meta = item["metadata"]
    name = meta.get("name", "")
    if name and not (isinstance(name, str) and len(name) <= 253 and _NAME.fullmatch(name)):
        cause = Cause("metadata.name", f'Invalid value: "{name}": {_NAME_MESSAGE}')
        raise errors.invalid(kind, str(name), [cause])
    for field in ("labels", "annotations"):
        _check_strings(kind, meta.get(field), f"ObjectMeta.metadata.{field}")


def _check_strings(kind: Kind, values: object, where: str) -> None:
    """Go refuses anything but strings here; a Python client happily sends numbers."""
    if values is None:
        return
    if isinstance(values, dict) and all(isinstance(v, str) for v in values.values()):
        return
    raise errors.bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: json: cannot'
        f" unmarshal into Go struct field {where} of type string"
    )


def _check_kind(kind: Kind, item: Json) -> None:
    if kind == INFERENCESERVICES and (causes := list(shapes.causes(item))):
        raise errors.invalid(kind, item["metadata"].get("name", ""), causes)
    if kind == CONFIGMAPS:
        _check_strings(kind, item.get("data"), "ConfigMap.data")
    if kind == LEASES:
        _check_lease(item)
    if kind == JOBS and (causes := list(shapes.job_causes(item))):
        raise errors.invalid(kind, item["metadata"].get("name", ""), causes)


def _check_lease(item: Json) -> None:
    spec = item.get("spec") or {}
    for field, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        if spec.get(field) is not None and spec[field] < least:
            text = f"Invalid value: {spec[field]}: must be at least {least}"
            cause = Cause(f"spec.{field}", text)
            raise errors.invalid(LEASES, item["metadata"].get("name", ""), [cause])
