"""Who keeps an InferenceService as a repository or a chart says, and how to tell them of a release. Pure.

Such a tool sets back what a release writes, in the middle of it. It is known by the marks that it leaves
on what it applies: labels, annotations, and the managers of fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.core.observation import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The tool, the field that gives it away, and what to tell the tool."""

    tool: str
    by: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One tool and its marks."""

    tool: str
    marks: tuple[str, ...]  # prefixes of label and annotation names
    managers: tuple[str, ...]
    remedy: str


PATHS = {
    "Knative": "/spec/predictor/canaryTrafficPercent, /spec/predictor/model/storageUri and "
    "/spec/predictor/labels",
    "Standard": "/spec/canary, /spec/predictor/name, /spec/predictor/model/storageUri and "
    "/spec/predictor/labels",
}
KINDS = (
    Kind(
        tool="Argo CD",
        marks=("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"),
        managers=("argocd-controller", "argocd-application-controller"),
        remedy="add to its Application ignoreDifferences (group serving.kserve.io, kind InferenceService, "
        "jsonPointers {paths}) and the syncOption RespectIgnoreDifferences=true",
    ),
    Kind(
        tool="Flux",
        marks=("kustomize.toolkit.fluxcd.io/",),
        managers=("kustomize-controller",),
        remedy="add to its Kustomization an ignore rule (target kind InferenceService, paths {paths}), or "
        "before the release the annotation kustomize.toolkit.fluxcd.io/ssa: IfNotPresent",
    ),
    Kind(
        tool="Flux (Helm)",
        marks=("helm.toolkit.fluxcd.io/",),
        managers=("helm-controller",),
        remedy="add to its HelmRelease driftDetection.ignore (target kind InferenceService, paths {paths}), "
        "and upgrade no chart during a release",
    ),
    Kind(
        tool="Helm",
        marks=("meta.helm.sh/release-name",),
        managers=("Helm", "helm"),
        remedy="upgrade no chart during a release, and take {paths} out of the chart or set them to what "
        "was promoted",
    ),
)


def owner_of(seen: Observation) -> Owner | None:
    """The tool that keeps it; None when nothing says so."""
    for kind in KINDS:
        found = _mark(seen, kind)
        if found is not None:
            paths = PATHS.get(seen.mode, PATHS["Knative"])
            remedy = kind.remedy.format(paths=paths)
            return Owner(tool=kind.tool, by=found[0], value=found[1], remedy=remedy)
    return None


def _mark(seen: Observation, kind: Kind) -> tuple[str, str] | None:
    """The field that gives it away, and its value."""
    held: Mapping[str, Mapping[str, str]] = {
        "annotations": seen.annotations,
        "labels": seen.labels,
    }
    for where, marks in held.items():
        for name, value in marks.items():
            if name.startswith(kind.marks):
                return f"metadata.{where}[{name}]", value
    manager = next((m for m in seen.managers if m in kind.managers), None)
    return None if manager is None else ("metadata.managedFields", manager)
