"""The document of a plan: what would be written, what must be seen, what must fit."""

from typing import Literal

from pydantic import Field

from tidegate.core.adoption import Consequence
from tidegate.core.journal import ActKind
from tidegate.core.status import Served
from tidegate.documents import Strict, Subject, Word


class PlannedAct(Strict):
    """One write to the InferenceService, and what must be seen before the next one."""

    kind: ActKind
    percent: int | None = None
    why: str
    bake_s: float | None = None
    max_bake_s: float | None = None
    evidence: str = ""


class WayBack(Strict):
    """How production returns from one point of the release."""

    when: str
    acts: tuple[PlannedAct, ...]


class Replicas(Strict):
    """What runs for one revision, at least."""

    of: str
    replicas: int
    resources: dict[str, str] = Field(description="of one replica; {} = as the runtime says")


class Need(Strict):
    """What must fit into the cluster at one point."""

    when: str
    running: tuple[Replicas, ...]
    devices: dict[str, int] = Field(description="GPUs and other extended resources, in all")


class Plan(Strict):
    """The whole plan; `refusal` says why the release would not begin."""

    schema_version: Literal[1] = 1
    kind: Literal["Plan"] = "Plan"
    subject: Subject
    namespace: str
    name: str
    mode: str
    refused: Word | None = None
    refusal: str = ""
    incumbent: Served | None = None
    storage_uri: str
    is_placeholder: bool = Field(description="the digest in storage_uri is known after publish")
    acts: tuple[PlannedAct, ...] = ()
    roll_back: tuple[WayBack, ...] = ()
    alias: str = ""
    capacity: tuple[Need, ...] = ()
    notices: tuple[str, ...] = ()
    adoption: tuple[Consequence, ...] = Field(
        default=(),
        description="what taking over a service changes and keeps; () = it is tidegate's",
    )
    manifest_diff: str = ""
