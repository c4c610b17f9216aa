"""What exactly was released, and what made it: the part of the page that an auditor reads."""

from tidegate.documents import Deployment, OptimizedModel, Report
from tidegate.report.writing import clock, duration


def provenance(report: Report, optimized: OptimizedModel | None) -> list[tuple[str, str]]:
    """Name and value, in the order of the release; what is not known is left out."""
    candidate = report.candidate
    rows = [
        ("Model version", candidate.uri),
        ("asked for as", candidate.requested_uri),
        ("MLmodel digest", report.subject.digest),
        ("flavors", ", ".join(candidate.flavors)),
        ("MLflow run", candidate.run_id),
        ("registered", clock(candidate.created_ms / 1000) if candidate.created_ms else ""),
        ("artifacts", candidate.artifact_uri),
    ]
    rows += _optimized(optimized) if optimized else []
    rows += _deployed(report.deployment) if report.deployment else []
    named = {"load_test": "load test took", "traffic": "first act to last"}
    rows += [(named.get(name, name), duration(took)) for name, took in report.seconds.items()]
    return [(name, value) for name, value in rows if value]


def _optimized(optimized: OptimizedModel) -> list[tuple[str, str]]:
    versions = (f"{name} {version}" for name, version in sorted(optimized.tools.items()))
    graph = f"opset {optimized.opset}, IR version {optimized.ir_version}"
    return [
        ("converted for", f"{optimized.target} ({graph})"),
        ("converted tree", optimized.tree_digest),
        ("tools", ", ".join(versions)),
    ]


def _deployed(deployment: Deployment) -> list[tuple[str, str]]:
    repository, incumbent = deployment.repository, deployment.incumbent
    triton = f"{repository.triton_model} version {repository.model_version}"
    before, preview = "none: a first release", deployment.preview
    if incumbent:
        before = f"{incumbent.revision} ({incumbent.storage_uri})"
    return [
        ("Triton model", f"{triton}, {repository.backend}, Triton {repository.triton_version}"),
        ("repository digest", repository.digest),
        ("storage URI", deployment.storage_uri),
        ("InferenceService", f"{deployment.namespace}/{deployment.name} ({deployment.mode})"),
        ("revision", deployment.candidate_revision),
        ("candidate host", deployment.candidate_host),
        ("production host", deployment.production_host or f"none yet: judged as {preview}"),
        ("incumbent", before),
    ]
