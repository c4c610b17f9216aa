"""Names and labels that all of tidegate's own objects share."""

from typing import Any

from tidegate import __version__

Json = dict[str, Any]

NAMESPACE = "tidegate"
PART_OF = {"app.kubernetes.io/part-of": "tidegate"}
SWEEP = {
    **PART_OF,
    "app.kubernetes.io/component": "sweep",
}  # the pods of runs have names of their steps
LABELS = {
    **PART_OF,
    "app.kubernetes.io/version": __version__,
    "app.kubernetes.io/managed-by": "kustomize",
}


def metadata(name: str, *, namespaced: bool = True) -> Json:
    """Of an object of tidegate's own."""
    where = {"namespace": NAMESPACE} if namespaced else {}
    return {"name": name, **where, "labels": dict(LABELS)}


def account(step: str) -> str:
    """The ServiceAccount of a step, as the Argo templates name it."""
    return f"tidegate-{step}"
