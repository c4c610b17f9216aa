"""The folder of a model that KServe's own server serves: its one file, and how it is released beside it."""

import shutil
from pathlib import Path

from tidegate.core.kserve_server import linted
from tidegate.core.kserve_server.folder import TEMPLATE
from tidegate.core.manifest import released_template
from tidegate.documents import Finding, ModelRepository, OptimizedModel
from tidegate.policy import Policy


def written(model: OptimizedModel, policy: Policy, tree: Path, folder: Path) -> tuple[Finding, ...]:
    """Lay the folder out, and look at it as the server will. The golden data stay behind."""
    from tidegate.adapters import model_repository, trees

    with trees.building(folder) as target:
        with trees.disk_errors(target):
            shutil.copyfile(tree / model.model_file, target / model.model_file)
            (target / TEMPLATE).mkdir()
        model_repository.write_serving(target / TEMPLATE, released_template(policy))
    names = [one.path for one in trees.files_of(folder)]
    return linted(policy.serving.format, names, model.tools)


def document(
    model: OptimizedModel, policy: Policy, findings: tuple[Finding, ...], digest: str
) -> ModelRepository:
    """What deploy and the load test ask, and by which protocol."""
    return ModelRepository.model_validate(
        {
            "subject": model.subject,
            "format": policy.serving.format,
            "protocol": policy.serving.protocol,
            "triton_model": policy.triton_model,
            "triton_version": "",
            "model_version": model.subject.version,
            "backend": model.backend,
            "max_batch_size": 0,
            "inputs": model.inputs,
            "outputs": model.outputs,
            "digest": digest,
            "findings": findings,
        }
    )


def reason(model: OptimizedModel, policy: Policy) -> str:
    """One line for the step's end."""
    server, protocol = policy.serving.served_by or "KServe's choice", policy.serving.protocol
    return f"{policy.triton_model} for {server}: {model.model_file}, protocol {protocol}"
