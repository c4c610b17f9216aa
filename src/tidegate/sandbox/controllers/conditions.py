"""Conditions as Kubernetes objects carry them: built, compared, looked up. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tidegate.sandbox.api.kinds import Json

State = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition, without its transition time."""

    type: str
    status: State
    reason: str = ""
    message: str = ""
    severity: str = ""

    @property
    def is_true(self) -> bool:
        """`status: True`; anything else, Unknown included, is not."""
        return self.status == "True"


def find(status: Json, name: str) -> Condition:
    """The condition of an object's status; Unknown when it is not there."""
    for entry in status.get("conditions") or []:
        if entry["type"] == name:
            return Condition(
                type=name, status=entry["status"], reason=entry.get("reason", ""),
                message=entry.get("message", ""), severity=entry.get("severity", ""),
            )  # fmt: skip
    return Condition(type=name, status="Unknown")


def as_json(conditions: Iterable[Condition], before: Json, stamp: str) -> list[Json]:
    """The list to store, sorted by type; a transition time is kept while nothing else changed."""
    old = {entry["type"]: entry for entry in before.get("conditions") or []}
    return [_entry(c, old.get(c.type), stamp) for c in sorted(conditions, key=lambda c: c.type)]


def _entry(condition: Condition, old: Json | None, stamp: str) -> Json:
    optional = {
        "reason": condition.reason, "message": condition.message, "severity": condition.severity,
    }  # fmt: skip
    entry: Json = {"type": condition.type, "status": condition.status}
    entry |= {key: value for key, value in optional.items() if value}
    kept = old is not None and {k: v for k, v in old.items() if k != "lastTransitionTime"} == entry
    return entry | {"lastTransitionTime": old["lastTransitionTime"] if kept and old else stamp}


def all_of(name: str, parts: Sequence[Condition]) -> Condition:
    """True when all are; else the first False, else the first Unknown, under another type."""
    for state in ("False", "Unknown"):
        for part in parts:
            if part.status == state:
                return Condition(
                    type=name, status=part.status, reason=part.reason, message=part.message
                )
    return Condition(type=name, status="True")
