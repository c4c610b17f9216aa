"""What exactly was released, what made it, and by whom: the part of the page that an auditor reads."""

from collections.abc import Iterable, Mapping

from tidegate.documents import (
    Candidate,
    Deployment,
    Engine,
    ModelRepository,
    OptimizedModel,
    Package,
    Report,
    Verdict,
)
from tidegate.policy.serving import TRITON
from tidegate.report.writing import clock, duration

Rows = list[tuple[str, str]]
RUNTIME = ("runtime", "runtimeVersion", "image", "protocolVersion")


def provenance(report: Report) -> list[tuple[str, Rows]]:
    """Groups of name and value, in the order of the release; what is not known is left out."""
    groups = [
        ("Model", _model(report)),
        ("Conversion", _optimized(report.optimized) if report.optimized else []),
        ("Serving", _deployed(report, report.deployment) if report.deployment else []),
        ("Run", _run(report)),
    ]
    known = ((title, [(name, value) for name, value in rows if value]) for title, rows in groups)
    return [(title, rows) for title, rows in known if rows]


def _model(report: Report) -> Rows:
    subject = report.subject
    rows = [
        ("Model version", f"models:/{subject.model}/{subject.version}"),
        ("MLmodel digest", subject.digest),
    ]
    return rows + (_candidate(report.candidate) if report.candidate else [])


def _candidate(candidate: Candidate) -> Rows:
    return [
        ("asked for as", candidate.requested_uri),
        ("flavors", ", ".join(candidate.flavors)),
        ("registered", clock(candidate.created_ms / 1000) if candidate.created_ms else ""),
        ("registered by", candidate.registered_by),
        ("MLflow run", candidate.run_id),
        ("artifacts", candidate.artifact_uri),
        *(
            (f"with {name}", f"{one.subject}, MLmodel {one.subject.digest}")
            for name, one in candidate.companions.items()
        ),
    ]


def _optimized(optimized: OptimizedModel) -> Rows:
    graph = (
        f" (opset {optimized.opset}, IR version {optimized.ir_version})" if optimized.opset else ""
    )
    provider = f" by its {optimized.accelerator} provider" if optimized.accelerator else ""
    return [
        ("converted for", f"{optimized.target}{provider}{graph}"),
        *((f"not {step.wanted}", step.reason) for step in optimized.steps_down),
        ("precision", "" if optimized.precision == "source" else optimized.precision),
        *(_engine(optimized.engine) if optimized.engine else []),
        *(_package(optimized.package) if optimized.package else []),
        ("converted tree", optimized.tree_digest),
        ("golden inputs", optimized.parity.golden_digest),
        ("tools", _versions(optimized.tools.items())),
    ]


def _engine(engine: Engine) -> Rows:
    made = f"{engine.builder}, TensorRT {engine.tensorrt}"
    again = " (of an earlier build)" if engine.reused else ""
    on = f"{engine.gpu}, compute capability {engine.compute_capability}, {engine.hardware}"
    return [
        ("plan", f"{made}{again}"),
        ("built on", on if engine.gpu else ""),
        ("layers", _counts({"in all": engine.layers or 0, **engine.kinds})),
        ("precision of outputs", _counts(engine.precisions)),
    ]


def _package(package: Package) -> Rows:
    again = " (of an earlier build)" if package.reused else ""
    on = f"{package.gpu}, compute capability {package.compute_capability}"
    return [
        ("package", f"AOTInductor, torch {package.torch}, {package.compiler}{again}"),
        (
            "compiled for",
            on if package.gpu else f"{package.machine}, {package.cpu} ({package.vectors})",
        ),
    ]


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.items() if count)


def _versions(tools: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(tools))


def _deployed(report: Report, deployment: Deployment) -> Rows:
    repository, incumbent = deployment.repository, deployment.incumbent
    before = "none: a first release"
    if incumbent:
        version = f", version {incumbent.version}" if incumbent.version else ""
        before = f"{incumbent.revision}{version} ({incumbent.storage_uri})"
    not_yet = f"none yet: judged as {deployment.preview}"
    return [
        _served(repository),
        ("repository digest", repository.digest),
        ("storage URI", deployment.storage_uri),
        ("InferenceService", f"{deployment.namespace}/{deployment.name} ({deployment.mode})"),
        ("runtime", _runtime(report)),
        ("revision", deployment.candidate_revision),
        ("candidate host", deployment.candidate_host),
        ("production host", deployment.production_host or not_yet),
        ("incumbent", before),
        ("dedicated baseline", _baseline(deployment)),
        ("nodes", " | ".join(deployment.preflight)),
    ]


def _served(repository: ModelRepository) -> tuple[str, str]:
    """The model as clients ask for it, and by what it is answered."""
    served = f"{repository.triton_model} version {repository.model_version}"
    if repository.format == TRITON:
        return (
            "Triton model",
            f"{served}, {repository.backend}, Triton {repository.triton_version}",
        )
    return (
        "served model",
        f"{served}, KServe's own server of {repository.format}, protocol {repository.protocol}",
    )


def _baseline(deployment: Deployment) -> str:
    copy = deployment.baseline
    return f"{copy.name} (revision {copy.revision}, at {copy.host})" if copy else ""


def _runtime(report: Report) -> str:
    """The serving runtime and images that the template names; the cluster's default names none."""
    template = report.journal.get("template") or {}
    model = template.get("model") or {}
    named = [f"{key} {model[key]}" for key in RUNTIME if model.get(key)]
    images = (part.get("image") for part in template.get("containers") or [])
    return ", ".join([*named, *(f"image {image}" for image in images if image)])


def _run(report: Report) -> Rows:
    acts = report.journal.get("acts") or []
    took = {"load_test": "load test took", "traffic": "first act to last"}
    return [
        ("release", report.release_id),
        ("first act", clock(acts[0]["intended_s"]) if acts else ""),
        *((took.get(name, name), duration(value)) for name, value in report.seconds.items()),
        ("taken over", str(report.journal.get("hand") or "")),
        ("alias", str(report.journal.get("alias") or "")),
        ("tools", _versions(report.tools.items())),
        ("judge it again", _replay(report)),
    ]


def _replay(report: Report) -> str:
    """The command, and the artifacts that it reads; '' where nothing was judged."""
    live = any(step.get("evidence") for step in report.journal.get("steps") or [])
    files = ["evidence of gate"] * isinstance(report.verdict, Verdict)
    files += ["live_evidence of promote"] * live
    return f"tidegate gate --replay FILE; FILE is {' or '.join(files)}" if files else ""
