"""Every model of the repository: its config, where its files lie, and what it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tidegate.core import lint, model_config
from tidegate.core.aoti.serving import PLATFORM as AOTI
from tidegate.core.model_config import Member, ModelConfig
from tidegate.core.visible_gpus import visible_gpus
from tidegate.documents import Finding, OptimizedModel, RepositoryModel, Tensor
from tidegate.errors import DocumentError
from tidegate.policy import Companion, Policy, Triton
from tidegate.steps import compiled, gpu_serving
from tidegate.steps.companions import FOLDER, MAIN_GOLDEN

ONNX = ("onnxruntime", "openvino")
CONFIG = "config.pbtxt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One model as it will lie in the repository; an ensemble has no files of its own."""

    config: ModelConfig
    entry: RepositoryModel
    tree: Path | None = None
    model_file: str = ""
    labels: tuple[str, ...] = ()
    graph: lint.Graph | None = None
    plan: lint.Plan | None = None
    package: lint.Package | None = None

    @property
    def is_code(self) -> bool:
        """A folder of the model version that is taken whole."""
        return self.tree is not None and not self.model_file


def placed(model: OptimizedModel, policy: Policy, tree: Path) -> tuple[Placed, ...]:
    """The released model first, then its companions, and the ensemble of them last."""
    batching = _all_batch(model, policy, tree)
    own = policy.triton if batching else policy.triton.model_copy(update={"max_batch_size": 0})
    main = _main(model, policy.model_copy(update={"triton": own}), tree)
    others = tuple(
        _code(one, policy, tree / FOLDER / one.name, model)
        if one.code
        else _converted(one, model.companions[one.name], policy, own, tree / FOLDER / one.name)
        for one in policy.repository.models
    )
    if not policy.repository.is_ensemble:
        return (main, *others)
    return (main, *others, _ensemble(main, others, model, policy))


def asked(models: tuple[Placed, ...]) -> Placed:
    """The one whose name clients send: the ensemble, or the released model."""
    return next((one for one in models if one.entry.role == "ensemble"), models[0])


def is_sequential(models: tuple[Placed, ...]) -> bool:
    """Whether what clients ask wants to know the sequence of each request."""
    released = (one for one in models if one.entry.role != "beside")
    return any(one.config.sequence_batching is not None for one in released)


def linted(models: tuple[Placed, ...], policy: Policy) -> tuple[Finding, ...]:
    """What the rules say of each; a companion's findings carry its name."""
    configs = {one.config.name: one.config for one in models}
    server = lint.Server(
        version=lint.triton_version(policy.triton.version),
        gpus=visible_gpus({"limits": policy.serving.limits}),
        arguments=policy.serving.args,
        tensorrt=gpu_serving.tensorrt(policy) if any(one.plan for one in models) else "",
        torch=policy.triton.torch,
    )
    findings: tuple[Finding, ...] = ()
    for one in models:
        version = one.entry.version
        checked = lint.Repository(
            config=one.config,
            folder=one.config.name,
            versions=(int(version),) if version.isdecimal() else (),
            server=server,
            graph=one.graph,
            plan=one.plan,
            package=one.package,
            others=configs,
        )
        named = f"{one.config.name}: " if one is not models[0] else ""
        findings += tuple(
            found.model_copy(update={"name": f"{named}{found.name}"})
            for found in lint.lint(checked)
        )
    return findings


def tensors(config: ModelConfig) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inputs and outputs as a client of the model sends and gets them, batch axis included."""
    batch = (-1,) if config.max_batch_size else ()
    inputs, outputs = (
        tuple(
            Tensor(name=t.name, dtype=t.data_type.removeprefix("TYPE_"), shape=(*batch, *t.dims))
            for t in kind
        )
        for kind in (config.input, config.output)
    )
    return inputs, outputs


def _all_batch(model: OptimizedModel, policy: Policy, tree: Path) -> bool:
    """The steps of an ensemble batch all or none: Triton hands on what it got."""
    if not policy.repository.is_ensemble:
        return True
    steps = [one for one in policy.repository.models if one.role != "beside"]
    converted = [model, *(model.companions[one.name] for one in steps if not one.code)]
    code = [_read_config(tree / FOLDER / one.name, one.name) for one in steps if one.code]
    return all(
        model_config.is_batchable(one.inputs, one.outputs) and one.package is None
        for one in converted
    ) and all(config.max_batch_size for config in code)


def _main(model: OptimizedModel, policy: Policy, tree: Path) -> Placed:
    from tidegate.adapters import model_config_text

    by_hand, labels = policy.triton.config, _labels(model, policy, tree)
    graph = _graph(model, tree)
    config = model_config.build(
        name=policy.main_model,
        backend=model.backend,
        platform=AOTI if model.package else "",
        inputs=graph.inputs if graph else model.inputs,
        outputs=graph.outputs if graph else model.outputs,
        wanted=policy.triton,
        shapes=_shapes(tree),
        parameters=model.parameters,
        model_file="" if model.backend == "fil" else model.model_file,
        labels=labels,
        metrics=model_config.metrics(policy),
        written=model_config_text.from_text(by_hand, what="triton.config") if by_hand else None,
        on_gpu=gpu_serving.on_gpu(model, policy),
    )
    entry = _entry(config, "main", model)
    return Placed(
        config=config,
        entry=entry,
        tree=tree,
        model_file=model.model_file,
        labels=labels,
        graph=graph,
        plan=gpu_serving.plan(model, tree),
        package=compiled.package(model, tree),
    )


def _converted(
    one: Companion, model: OptimizedModel, policy: Policy, own: Triton, tree: Path
) -> Placed:
    """As the released model, under its own name and with its own text by hand."""
    wanted = policy.triton if one.role == "beside" else own
    mine = policy.model_copy(
        update={
            "triton": wanted.model_copy(
                update={
                    "model_name": one.name, "config": one.config, "parameters": {},
                    "labels": (), "labels_file": "", "label_output": "",
                    "sequence_batching": None, "version_policy": None,
                }
            ),
            "repository": policy.repository.model_copy(update={"models": ()}),
        }
    )  # fmt: skip
    try:
        found = _main(model, mine, tree)
    except DocumentError as error:
        raise DocumentError(f"repository.models: {one.name}: {error}") from error
    return replace(found, entry=found.entry.model_copy(update={"role": one.role}))


def _read_config(folder: Path, name: str) -> ModelConfig:
    from tidegate.adapters import model_config_text

    text = (folder / CONFIG).read_text(encoding="utf-8")
    return model_config_text.from_text(text, what=f"repository.models: {name}: {CONFIG}")


def _code(one: Companion, policy: Policy, folder: Path, model: OptimizedModel) -> Placed:
    """Its own config.pbtxt, with the name, the backend and the instances that it leaves open."""
    from tidegate.adapters import trees

    written = _read_config(folder, one.name)
    wrong = {"name": (written.name, one.name), "backend": (written.backend, "python")}
    for field, (said, meant) in wrong.items():
        if said not in ("", meant):
            raise DocumentError(
                f"repository.models: {one.name}: {CONFIG} says {field} {said!r}; write {meant!r}, or nothing"
            )
    config = replace(
        written,
        name=one.name,
        backend="python",
        instance_group=written.instance_group or model_config.groups(policy.triton),
    )
    entry = RepositoryModel(
        name=one.name,
        role=one.role,
        backend="python",
        version=model.subject.version,
        source=f"{one.code} of {model.subject}",
        digest=trees.digest_of(trees.files_of(folder)),
        inputs=tensors(config)[0],
        sequential=config.sequence_batching is not None,
        unasked=_unasked(config),
    )
    return Placed(config=config, entry=entry, tree=folder)


def _ensemble(
    main: Placed, others: tuple[Placed, ...], model: OptimizedModel, policy: Policy
) -> Placed:
    said: Mapping[str, Mapping[str, str]] = {
        one.name: one.inputs for one in policy.repository.models
    }
    before = [one for one in others if one.entry.role == "pre"]
    after = [one for one in others if one.entry.role == "post"]
    members = tuple(
        Member(
            config=one.config,
            version=int(one.entry.version),
            inputs=said.get(one.config.name, policy.repository.inputs),
        )
        for one in (*before, main, *after)
    )
    config = model_config.ensemble(
        policy.triton_model,
        members,
        outputs=policy.repository.outputs,
        metric_tags=policy.triton.metric_tags,
    )
    entry = _entry(config, "ensemble", model).model_copy(update={"backend": "ensemble"})
    return Placed(config=config, entry=entry)


def _entry(config: ModelConfig, role: str, model: OptimizedModel) -> RepositoryModel:
    return RepositoryModel.model_validate(
        {
            "name": config.name,
            "role": role,
            "backend": config.backend,
            "version": model.subject.version,
            "source": str(model.subject),
            "digest": model.subject.digest,
            "inputs": tensors(config)[0],
            "sequential": config.sequence_batching is not None,
            "unasked": _unasked(config),
        }
    )


def _unasked(config: ModelConfig) -> str:
    """What one request with one answer cannot ask."""
    policy = config.model_transaction_policy
    return "its transactions are decoupled" if policy is not None and policy.decoupled else ""


def _labels(model: OptimizedModel, policy: Policy, tree: Path) -> tuple[str, ...]:
    """The policy's names of the classes, else the model's own."""
    if policy.triton.labels_file:
        lines = (tree / policy.triton.labels_file).read_text(encoding="utf-8").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    return policy.triton.labels or model.labels


def _shapes(tree: Path) -> dict[str, tuple[int, ...]]:
    """One golden row's dims by input of the model itself."""
    from tidegate.adapters import golden_data

    path = tree / MAIN_GOLDEN
    golden = golden_data.read(path if path.is_file() else tree / "golden.npz", what=path.name)
    return {name: array.shape[1:] for name, array in golden.inputs.items()}


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
