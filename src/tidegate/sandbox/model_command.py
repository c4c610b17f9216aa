"""The model server of a pod as a command: Triton, or by the container's image one of KServe's own."""

from pathlib import Path
from typing import Protocol

from tidegate.sandbox import kserve_command, triton_command
from tidegate.sandbox.interfaces import RevisionSpec


class Ends(Protocol):
    """The loopback ports of a model server."""

    @property
    def http(self) -> int: ...
    @property
    def grpc(self) -> int: ...
    @property
    def metrics(self) -> int: ...


def of(
    spec: RevisionSpec, ends: Ends, *, models: Path, backends: Path, prefix: str
) -> tuple[list[str], dict[str, str]]:
    """Command line and environment; `prefix` names a Triton's shared memory."""
    if spec.format:
        argv = kserve_command.arguments(
            format_=spec.format, models=models, port=ends.http, extra=spec.args
        )
        return argv, kserve_command.environment(spec.env)
    argv = triton_command.arguments(
        models=models,
        backends=backends,
        ports=(ends.http, ends.grpc, ends.metrics),
        prefix=prefix,
        extra=spec.args,
    )
    return argv, triton_command.environment(spec.env)
