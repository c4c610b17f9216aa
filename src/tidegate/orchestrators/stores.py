"""Where the files between the steps of an Argo workflow lie; needs hera.

Two ways: `Bucket` (Argo's artifacts, in the cluster's own repository) and `Claim` (one
PersistentVolumeClaim, a folder per run).
"""

from dataclasses import dataclass
from typing import Protocol

from hera.workflows import (
    Artifact,
    EmptyDirVolume,
    ExistingVolume,
    NoneArchiveStrategy,
    Parameter,
    S3Artifact,
)
from hera.workflows.models import VolumeMount

from tidegate.steps.registry import Parameter as StepParameter
from tidegate.steps.registry import Step

HOME = "/tidegate"
RUN = "{{workflow.uid}}"  # the release id, and the folder of a run's files


class Store(Protocol):
    """Where the files lie that one step writes and another one reads."""

    keeps_logs: bool  # without a repository Argo fails each pod whose log it is to archive

    def taken(self, port: StepParameter) -> Artifact | Parameter:
        """A port in, among a template's inputs."""

    def passed(self, name: str) -> Artifact | Parameter:
        """A port in of a DAG, which only hands it on."""

    def given(self, step: Step, port: StepParameter) -> list[Artifact]:
        """A port out, among a template's outputs."""

    def path(self, step: Step, port: StepParameter) -> str:
        """What the step's command is told."""

    def results(self, step: Step) -> str:
        """The folder for the step's scalars, one file each."""

    def argument(self, name: str, source: str) -> Artifact | Parameter:
        """What a task hands to a port; `source` is `task/port`, or a port of the DAG itself."""

    def mounts(self) -> list[VolumeMount]:
        """What a container needs for it."""

    def volumes(self) -> list[EmptyDirVolume | ExistingVolume]:
        """What a workflow needs for it."""


@dataclass(frozen=True)
class Bucket:
    """Argo's artifacts: a key in the bucket of the cluster's artifact repository (S3, GCS, MinIO)."""

    keeps_logs = True

    def taken(self, port: StepParameter) -> Artifact | Parameter:
        """An input artifact at a fixed path."""
        return Artifact(name=port.name, path=f"{HOME}/inputs/{port.name}")

    def passed(self, name: str) -> Artifact | Parameter:
        """An artifact without a path."""
        return Artifact(name=name)

    def given(self, step: Step, port: StepParameter) -> list[Artifact]:
        """An output artifact; a document or page stays a plain file, which the UI shows."""
        archive = None if port.port and port.port.content == "tree" else NoneArchiveStrategy()
        key = f"tidegate/{RUN}/{step.command}/{port.name}"
        path = self.path(step, port)
        return [S3Artifact(name=port.name, path=path, key=key, archive=archive)]

    def path(self, _step: Step, port: StepParameter) -> str:
        """Fixed, as Argo wants it."""
        side = "inputs" if port.port and port.port.direction == "in" else "outputs"
        return f"{HOME}/{side}/{port.name}"

    def results(self, _step: Step) -> str:
        """Scratch."""
        return f"{HOME}/results"

    def argument(self, name: str, source: str) -> Artifact | Parameter:
        """A reference to the artifact of another task."""
        task, _, port = source.rpartition("/")
        found = f"tasks.{task}.outputs.artifacts.{port}" if task else f"inputs.artifacts.{port}"
        return Artifact(name=name, from_=f"{{{{{found}}}}}")

    def mounts(self) -> list[VolumeMount]:
        """Scratch space; the root file system is read-only."""
        return [VolumeMount(name="work", mount_path=HOME)]

    def volumes(self) -> list[EmptyDirVolume | ExistingVolume]:
        """Scratch space."""
        return [EmptyDirVolume(name="work")]


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim that every pod of a run mounts; no artifact repository is needed."""

    keeps_logs = False
    claim: str = "{{workflow.parameters.claim}}"

    def taken(self, port: StepParameter) -> Artifact | Parameter:
        """A path on the claim."""
        return Parameter(name=port.name)

    def passed(self, name: str) -> Artifact | Parameter:
        """A path."""
        return Parameter(name=name)

    def given(self, _step: Step, _port: StepParameter) -> list[Artifact]:
        """Nothing: the file lies on the claim."""
        return []

    def path(self, step: Step, port: StepParameter) -> str:
        """By the step's own name, which is in a release once."""
        if port.port and port.port.direction == "in":
            return f"{{{{inputs.parameters.{port.name}}}}}"
        return f"{HOME}/{step.command}/{port.name}"

    def results(self, step: Step) -> str:
        """Beside its files."""
        return f"{HOME}/{step.command}/results"

    def argument(self, name: str, source: str) -> Artifact | Parameter:
        """The path of another task's file."""
        task, _, port = source.rpartition("/")
        value = f"{HOME}/{task}/{port}" if task else f"{{{{inputs.parameters.{port}}}}}"
        return Parameter(name=name, value=value)

    def mounts(self) -> list[VolumeMount]:
        """A folder of the claim for each run."""
        return [VolumeMount(name="work", mount_path=HOME, sub_path=RUN)]

    def volumes(self) -> list[EmptyDirVolume | ExistingVolume]:
        """The claim."""
        return [ExistingVolume(name="work", claim_name=self.claim)]
