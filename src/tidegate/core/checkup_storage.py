"""Storage that is judged by what the cluster says of it. Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate.core.checkup import Check, fail, ok, unknown, warn

ON_MANY = "ReadWriteMany"
READ_BY_MANY = "ReadOnlyMany"
ON_ONE = ("ReadWriteOnce", "ReadWriteOncePod")


def claim(title: str, found: Mapping[str, Any] | None, *, reads_only: bool = False) -> Check:
    """A PersistentVolumeClaim: there, bound, and to be written (or only read) by pods on every node."""
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
    return _access(title, [str(mode) for mode in status.get("accessModes") or ()], reads_only)


def one_volume(name: str, service: str, runs: str) -> Check:
    """A claim belongs to a namespace: two of one name share files only where somebody saw to it."""
    return warn(
        f"claim {name} in two namespaces",
        f"publish writes to that of {runs}, the predictors read that of {service}",
        f"bind both to one volume (two PersistentVolumes of one share), or run the releases in {service}",
    )  # fmt: skip


def _access(title: str, modes: list[str], reads_only: bool) -> Check:
    shown = f"bound, {', '.join(modes) or 'no access mode'}"
    if ON_MANY in modes or (reads_only and READ_BY_MANY in modes):
        return ok(title, shown)
    if any(mode in modes for mode in ON_ONE):
        return warn(
            title, f"{shown}: pods on two nodes cannot have it at once",
            f"use a class with {ON_MANY}, or let all pods of a run be on one node",
        )  # fmt: skip
    return fail(title, f"{shown}: a run cannot write to it", f"use a class with {ON_MANY}")
