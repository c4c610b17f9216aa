"""How a server whose answers name no version is told from another one of the same model. Pure.

KServe's servers answer a request that is a CloudEvent with one, whose `ce-source` is the environment's
CE_SOURCE (kserve/protocol/dataplane.py `encode`, kserve/utils/utils.py `create_response_cloudevent`). It is
part of the released template, so each revision has its own.
"""

PREFIX = "tidegate.dev"


def source_of(model: str, version: str) -> str:
    """What a released version says of itself."""
    return f"{PREFIX}/{model}/{version}"


def version_of(source: str, model: str) -> str:
    """The version that a source names; '' where it is none of ours, or another model's."""
    before, _, version = source.rpartition("/")
    return version if before == f"{PREFIX}/{model}" else ""
