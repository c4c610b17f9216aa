"""configure: the model becomes what its server loads, checked against that server's rules."""

from dataclasses import dataclass
from pathlib import Path

from tidegate.core.aoti.serving import PLATFORM as AOTI
from tidegate.core.manifest import released_template
from tidegate.core.model_config import ModelConfig
from tidegate.documents import Finding, ModelRepository, OptimizedModel, Refusal, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.steps import compiled, gpu_serving, kept_folder
from tidegate.steps.load_and_query import tried
from tidegate.steps.placing import Placed, asked, is_sequential, linted, placed, tensors
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, InTree, OutDocument, OutTree, step


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
    """Write the model as its server loads it, and refuse what that server would trip over.

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
    if policy.serving.by_kserve:
        return _kept(model, policy, optimized_model, repository_document, repository)
    models = placed(model, policy, optimized_model)
    _require_sendable(models, policy)
    notes = (
        *_notes(models[0].config, policy),
        *gpu_serving.notes(model, policy),
        *compiled.notes(model, policy),
    )
    findings = (*linted(models, policy), *notes)
    bad = [finding for finding in findings if finding.word is Word.FAIL and finding.blocking]
    if bad:
        return _refuse(model, findings, bad[0], repository_document, repository)
    _write(models, policy, repository)
    findings += tried(models, model, policy, repository, optimized_model / "golden.npz")
    bad = [finding for finding in findings if finding.word is not Word.PASS and finding.blocking]
    if bad:
        return _refuse(model, findings, bad[0], repository_document, repository)
    digest = trees.digest_of(trees.files_of(repository))
    files.write(repository_document, _document(model, policy, models, findings, digest))
    reason = _reason(models, policy)
    say("configure", reason)
    return Configured(verdict=Word.PASS.value, reason=reason)


def _kept(
    model: OptimizedModel, policy: Policy, tree: Path, document: Path, repository: Path
) -> Configured:
    """For KServe's own server, which has no config of the model's."""
    from tidegate.adapters import files, trees

    findings = kept_folder.written(model, policy, tree, repository)
    if bad := [one for one in findings if one.word is not Word.PASS and one.blocking]:
        return _refuse(model, findings, bad[0], document, repository)
    digest = trees.digest_of(trees.files_of(repository))
    files.write(document, kept_folder.document(model, policy, findings, digest))
    told = [one.message for one in findings if not one.blocking]
    reason = "; ".join((kept_folder.reason(model, policy), *told))
    say("configure", reason)
    return Configured(verdict=Word.PASS.value, reason=reason)


def _require_sendable(models: tuple[Placed, ...], policy: Policy) -> None:
    """Raises DocumentError: requests of one sequence mean nothing beside others and out of their order."""
    if policy.load.capture and is_sequential(models):
        raise DocumentError(
            f"load.capture: {policy.load.capture} is of a model with sequences, whose requests a load test "
            "would send out of order; remove it, and each golden row is sent as a sequence of one request"
        )


def _notes(config: ModelConfig, policy: Policy) -> tuple[Finding, ...]:
    """What the policy asked for and the graph does not allow; served all the same."""
    notes = []
    if policy.triton.max_batch_size and not config.max_batch_size and config.platform != AOTI:
        notes.append("the model has no free batch axis: served without batching")
    if policy.triton.warmup and not config.model_warmup:
        why = "it would lack the signals of a sequence"
        notes.append(
            f"no warm-up: {why}"
            if config.sequence_batching
            else "an input has free dims of unknown size: no warm-up"
        )
    return tuple(
        Finding(name="configure", word=Word.INCONCLUSIVE, message=note, blocking=False)
        for note in notes
    )


def _write(models: tuple[Placed, ...], policy: Policy, repository: Path) -> None:
    """The text is parsed back before it ships: the server would say why only in its log."""
    from tidegate.adapters import model_config_text, model_repository, trees

    with trees.building(repository) as target:
        for one in models:
            text = model_config_text.to_text(one.config)
            assert model_config_text.from_text(text, what="config.pbtxt") == one.config
            model_repository.write(
                target,
                one.config,
                text,
                version=one.entry.version,
                model_tree=one.tree,
                model_file=one.model_file,
                labels=one.labels,
            )
        model_repository.write_serving(target, released_template(policy))


def _document(
    model: OptimizedModel,
    policy: Policy,
    models: tuple[Placed, ...],
    findings: tuple[Finding, ...],
    digest: str,
) -> ModelRepository:
    whole, sequential = asked(models), is_sequential(models)
    own, built = whole is models[0] and not sequential, model.engine or model.package
    inputs, outputs = (model.inputs, model.outputs) if own else tensors(whole.config)
    return ModelRepository(
        subject=model.subject,
        triton_model=whole.config.name,
        triton_version=policy.triton.version,
        model_version=model.subject.version,
        backend=whole.entry.backend,
        max_batch_size=whole.config.max_batch_size,
        inputs=inputs,
        outputs=outputs,
        digest=digest,
        gpu=built.gpu if built else "",
        compute_capability=built.compute_capability if built else "",
        findings=findings,
        models=tuple(one.entry for one in models) if len(models) > 1 else (),
        sequential=sequential,
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


def _reason(models: tuple[Placed, ...], policy: Policy) -> str:
    config, whole = models[0].config, asked(models)
    batch = f"batches up to {config.max_batch_size}" if config.max_batch_size else "no batching"
    groups = " and ".join(f"{g.count} instance(s) {g.kind}" for g in config.instance_group)
    told = f"{config.name} for Triton {policy.triton.version}: {config.backend}, {batch}, {groups}"
    others = ", ".join(
        f"{one.entry.role} {one.config.name}" for one in models[1:] if one is not whole
    )
    ensemble = f"; asked as the ensemble {whole.config.name}" if whole is not models[0] else ""
    return f"{told}{f'; with {others}' if others else ''}{ensemble}"
