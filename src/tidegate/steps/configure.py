"""configure: the model becomes a Triton model repository, checked against the target server's rules."""

from dataclasses import dataclass
from pathlib import Path

from tidegate.core import lint, model_config
from tidegate.core.model_config import ModelConfig
from tidegate.core.visible_gpus import visible_gpus
from tidegate.documents import Finding, ModelRepository, OptimizedModel, Refusal, Word
from tidegate.policy import Policy
from tidegate.steps.load_and_query import tried
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, InTree, OutDocument, OutTree, step

ONNX = ("onnxruntime", "openvino")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The lint's word and why."""

    verdict: str
    reason: str


@step(cacheable=True)
def configure(
    optimized: InDocument,
    optimized_model: InTree,
    policy_document: InPolicy,
    repository_document: OutDocument,
    repository: OutTree,
) -> Configured:
    """Write config.pbtxt and the version folder, and refuse what the target Triton would trip over.

    Args:
        optimized: The OptimizedModel of optimize.
        optimized_model: The served form and the golden data.
        policy_document: The effective policy.
        repository_document: Where the ModelRepository is written.
        repository: Where the model repository is put.
    """
    from tidegate.adapters import files, trees

    model, policy = files.read(optimized, OptimizedModel), files.read_policy(policy_document)
    trees.require(optimized_model, model.tree_digest, what="optimized_model")
    config, findings = _config(model, policy, optimized_model)
    bad = [finding for finding in findings if finding.word is Word.FAIL and finding.blocking]
    if bad:
        return _refuse(model, findings, bad[0], repository_document, repository)
    _write(config, model, optimized_model, repository, _labels(model, policy, optimized_model))
    findings += tried(config, model, policy, repository, optimized_model / "golden.npz")
    bad = [finding for finding in findings if finding.word is not Word.PASS and finding.blocking]
    if bad:
        return _refuse(model, findings, bad[0], repository_document, repository)
    digest = trees.digest_of(trees.files_of(repository))
    files.write(repository_document, _document(model, policy, config, findings, digest))
    reason = _reason(config, policy)
    say("configure", reason)
    return Configured(verdict=Word.PASS.value, reason=reason)


def _config(
    model: OptimizedModel, policy: Policy, tree: Path
) -> tuple[ModelConfig, tuple[Finding, ...]]:
    """The config for the model as it lies there, and what the rules say of it."""
    from tidegate.adapters import golden_data, model_config_text

    by_hand = policy.triton.config
    graph = _graph(model, tree)
    golden = golden_data.read(tree / "golden.npz", what="golden.npz")
    config = model_config.build(
        name=policy.triton_model,
        backend=model.backend,
        inputs=graph.inputs if graph else model.inputs,
        outputs=graph.outputs if graph else model.outputs,
        wanted=policy.triton,
        shapes={name: array.shape[1:] for name, array in golden.inputs.items()},
        parameters=model.parameters,
        model_file="" if model.backend == "fil" else model.model_file,
        labels=_labels(model, policy, tree),
        metrics=model_config.metrics(policy),
        written=model_config_text.from_text(by_hand, what="triton.config") if by_hand else None,
    )
    checked = lint.Repository(
        config=config,
        folder=policy.triton_model,
        versions=(int(model.subject.version),) if model.subject.version.isdecimal() else (),
        server=lint.Server(
            version=lint.triton_version(policy.triton.version),
            gpus=visible_gpus(policy.serving.resources),
            arguments=policy.serving.args,
        ),
        graph=graph,
    )
    return config, (*lint.lint(checked), *_notes(config, policy))


def _labels(model: OptimizedModel, policy: Policy, tree: Path) -> tuple[str, ...]:
    """The policy's names of the classes, else the model's own."""
    if policy.triton.labels_file:
        lines = (tree / policy.triton.labels_file).read_text(encoding="utf-8").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    return policy.triton.labels or model.labels


def _graph(model: OptimizedModel, tree: Path) -> lint.Graph | None:
    """What the graph itself declares; None where the model is none."""
    if model.backend not in ONNX:
        return None
    from tidegate.adapters import onnx_files

    graph = onnx_files.declared(tree / model.model_file, what=str(model.subject))
    return lint.Graph(
        inputs=graph.inputs,
        outputs=graph.outputs,
        opset=model.opset,
        ir_version=model.ir_version,
        batch_symbols=graph.batch_symbols,
    )


def _notes(config: ModelConfig, policy: Policy) -> tuple[Finding, ...]:
    """What the policy asked for and the graph does not allow; served all the same."""
    notes = []
    if policy.triton.max_batch_size and not config.max_batch_size:
        notes.append("the model has no free batch axis: served without batching")
    if policy.triton.warmup and not config.model_warmup:
        notes.append("an input has free dims of unknown size: no warm-up")
    return tuple(
        Finding(name="configure", word=Word.INCONCLUSIVE, message=note, blocking=False)
        for note in notes
    )


def _write(
    config: ModelConfig,
    model: OptimizedModel,
    tree: Path,
    repository: Path,
    labels: tuple[str, ...],
) -> None:
    """The text is parsed back before it ships: the server would say why only in its log."""
    from tidegate.adapters import model_config_text, model_repository, trees

    text = model_config_text.to_text(config)
    assert model_config_text.from_text(text, what="config.pbtxt") == config
    with trees.building(repository) as target:
        version = model.subject.version
        model_repository.write(
            target,
            config,
            text,
            version=version,
            model_tree=tree,
            model_file=model.model_file,
            labels=labels,
        )


def _document(
    model: OptimizedModel,
    policy: Policy,
    config: ModelConfig,
    findings: tuple[Finding, ...],
    digest: str,
) -> ModelRepository:
    return ModelRepository(
        subject=model.subject,
        triton_model=config.name,
        triton_version=policy.triton.version,
        model_version=model.subject.version,
        backend=config.backend,
        max_batch_size=config.max_batch_size,
        inputs=model.inputs,
        outputs=model.outputs,
        digest=digest,
        findings=findings,
    )


def _refuse(
    model: OptimizedModel,
    findings: tuple[Finding, ...],
    worst: Finding,
    document: Path,
    repository: Path,
) -> Configured:
    from tidegate.adapters import files, trees

    trees.emptied(repository)
    reason = f"{worst.name}: {worst.message}"
    refusal = Refusal(
        subject=model.subject, step="configure", word=worst.word, reason=reason, findings=findings
    )
    files.write(document, refusal)
    say("configure", reason)
    return Configured(verdict=worst.word.value, reason=reason)


def _reason(config: ModelConfig, policy: Policy) -> str:
    batch = f"batches up to {config.max_batch_size}" if config.max_batch_size else "no batching"
    groups = " and ".join(f"{g.count} instance(s) {g.kind}" for g in config.instance_group)
    return f"{config.name} for Triton {policy.triton.version}: {config.backend}, {batch}, {groups}"
