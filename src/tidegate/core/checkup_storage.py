"""Storage that is judged by what the cluster says of it. Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate.core.checkup import Check, fail, ok, unknown, warn

ON_MANY = "ReadWriteMany"
ON_ONE = ("ReadWriteOnce", "ReadWriteOncePod")


def claim(name: str, found: Mapping[str, Any] | None) -> Check:
    """A PersistentVolumeClaim: there, bound, and to be written by pods on every node."""
    title = f"claim {name}"
    if found is None:
        return fail(title, "not there", f"create the PersistentVolumeClaim, {ON_MANY}")
    status = found.get("status") or {}
    if (phase := str(status.get("phase") or "Pending")) == "Pending":
        return unknown(
            title, "not bound to a volume yet",
            "kubectl describe pvc says why; a class that waits for the first pod binds it with the first run",
        )  # fmt: skip
    if phase != "Bound":
        return fail(title, f"{phase}: its volume is gone", "make the claim anew")
    return _access(title, [str(mode) for mode in status.get("accessModes") or ()])


def _access(title: str, modes: list[str]) -> Check:
    shown = f"bound, {', '.join(modes) or 'no access mode'}"
    if ON_MANY in modes:
        return ok(title, shown)
    if any(mode in modes for mode in ON_ONE):
        return warn(
            title, f"{shown}: pods on two nodes cannot have it at once",
            f"use a class with {ON_MANY}, or let all pods of a run be on one node",
        )  # fmt: skip
    return fail(title, f"{shown}: a run cannot write to it", f"use a class with {ON_MANY}")
