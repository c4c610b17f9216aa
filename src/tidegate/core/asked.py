"""What a served model is asked with: its own inputs, or those of a transformer in its pod. Pure."""

from collections.abc import Mapping

from tidegate.documents import ModelRepository, Probe, RepositoryModel, Tensor
from tidegate.policy import Policy
from tidegate.policy.serving import TRITON


def inputs_of(repository: ModelRepository, policy: Policy) -> tuple[Tensor, ...]:
    """What the pod's port takes. A transformer of its own is passed by a candidate's URL."""
    transformer = policy.serving.transformer
    if transformer is None or not transformer.inputs:
        return repository.inputs
    return tuple(
        Tensor(name=one.name, dtype=_dtype(one.datatype), shape=one.shape)
        for one in transformer.inputs
    )


def _dtype(datatype: str) -> str:
    """Triton's word for what the protocol calls BYTES."""
    return "STRING" if datatype == "BYTES" else datatype


def probe_of(repository: ModelRepository, policy: Policy, *, version: str = "") -> Probe:
    """How the version (that of the repository, when none is named) is asked.

    Of another version than the repository's nobody knows what stands beside it.
    """
    return Probe(
        model=repository.triton_model,
        inputs=inputs_of(repository, policy),
        values=_values(policy),
        version=version or repository.model_version,
        transport=policy.serving.port,
        server="triton" if repository.format == TRITON else "kserve",
        protocol=repository.protocol,
        sequential=repository.sequential,
        beside=() if version else _neighbours(repository, policy),
    )


def _values(policy: Policy) -> dict[str, int | float | str]:
    transformer = policy.serving.transformer
    asked = transformer.inputs if transformer else ()
    return {one.name: one.value for one in asked if one.value is not None}


def beside(repository: ModelRepository) -> tuple[RepositoryModel, ...]:
    """The models that share the server and are no part of what is released."""
    return tuple(one for one in repository.models if one.role == "beside")


def unasked(repository: ModelRepository, policy: Policy) -> Mapping[str, str]:
    """Which of those cannot be asked through the candidate's URL, and why."""
    return {one.name: why for one in beside(repository) if (why := _why_unasked(one, policy))}


def _neighbours(repository: ModelRepository, policy: Policy) -> tuple[Probe, ...]:
    return tuple(
        Probe(
            model=one.name,
            inputs=one.inputs,
            version=one.version,
            transport=policy.serving.port,
            sequential=one.sequential,
        )
        for one in beside(repository)
        if not _why_unasked(one, policy)
    )


def _why_unasked(one: RepositoryModel, policy: Policy) -> str:
    transformer = policy.serving.transformer
    if transformer is not None and transformer.collocated:
        return "the pod's one port is its transformer's"
    return one.unasked or ("" if one.inputs else "its inputs are not known")
