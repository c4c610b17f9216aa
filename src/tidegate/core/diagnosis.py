"""Why a revision does not get ready: a typed reason, its word, the cluster's words and one remedy. Pure.

The rules that find it stand in `causes`. A certain diagnosis ends the wait at once. A suspicion names trouble
that passes by itself often enough: it must be there at every look for `persist_s`, which is short enough that
it is spoken within 60 s. Two are said in the progress but never end the wait: a container that ended and runs
again, since it may be about to work, and a pod for which the cluster autoscaler has announced a node.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from tidegate.documents import Word


class Reason(StrEnum):
    """What keeps a revision from getting ready."""

    IMAGE_PULL = "IMAGE_PULL"
    UNSCHEDULABLE = "UNSCHEDULABLE"
    QUOTA = "QUOTA"
    EVICTED = "EVICTED"
    CONFIG_ERROR = "CONFIG_ERROR"
    STORAGE_INITIALIZER = "STORAGE_INITIALIZER"
    MODEL_LOAD = "MODEL_LOAD"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    CRASH_LOOP = "CRASH_LOOP"
    PROGRESS_DEADLINE = "PROGRESS_DEADLINE"
    WEBHOOK_REJECTED = "WEBHOOK_REJECTED"
    RUNTIME_NOT_FOUND = "RUNTIME_NOT_FOUND"


MODEL_REASONS = frozenset(
    {Reason.MODEL_LOAD, Reason.OUT_OF_MEMORY, Reason.CRASH_LOOP, Reason.PROGRESS_DEADLINE}
)
CRASHES = MODEL_REASONS - {
    Reason.OUT_OF_MEMORY
}  # what asks the predictor as it starts may have done so before that was up
SPEC_REASONS = frozenset({Reason.WEBHOOK_REJECTED, Reason.RUNTIME_NOT_FOUND})
REMEDY = {
    Reason.IMAGE_PULL: "correct serving.runtime_version or the ServingRuntime's image, or its pull secret",
    Reason.UNSCHEDULABLE: "free or add the capacity that serving.resources asks for, then release again",
    Reason.QUOTA: "free or raise the namespace's ResourceQuota, then release again",
    Reason.EVICTED: "see why the node had no room, then release again",
    Reason.CONFIG_ERROR: "create what is missing or correct its name, then release again",
    Reason.STORAGE_INITIALIZER: "check that serving.service_account may read the storage URI",
    Reason.MODEL_LOAD: "correct the model or its config.pbtxt",
    Reason.OUT_OF_MEMORY: "raise limits.memory in serving.resources, or make the model smaller",
    Reason.CRASH_LOOP: "read the container's log",
    Reason.PROGRESS_DEADLINE: "see what it waited for, or raise the progress deadline",
    Reason.WEBHOOK_REJECTED: "correct what the webhook names, in the policy or the cluster",
    Reason.RUNTIME_NOT_FOUND: "correct serving.runtime, or install that ServingRuntime (ours: deploy/base)",
}  # fmt: skip
PREDICTOR = "predictor"
REMEDY_OF_A_COMPANION = {
    Reason.IMAGE_PULL: "correct serving.{}.image, or its pull secret",
    Reason.UNSCHEDULABLE: "free or add the capacity that serving.{}.resources asks for, then release again",
    Reason.OUT_OF_MEMORY: "raise limits.memory in serving.{}.resources",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The trouble of a component. `persist_s`: for how long it must be there at every look to count; 0 when
    certain."""

    reason: Reason
    words: str
    persist_s: float = 0.0
    unseen: tuple[str, ...] = ()
    component: str = PREDICTOR

    @property
    def certain(self) -> bool:
        """It will not pass."""
        return self.persist_s == 0

    @property
    def word(self) -> Word:
        """FAIL speaks of the model; capacity, images, secrets and configuration are the environment, and so
        is whatever a transformer or an explainer does."""
        is_model = self.reason in MODEL_REASONS and self.component == PREDICTOR
        return Word.FAIL if is_model else Word.INVALID

    @property
    def about(self) -> str:
        """What a suspicion is about: the same trouble of the same component."""
        return (
            str(self.reason) if self.component == PREDICTOR else f"{self.component} {self.reason}"
        )

    @property
    def remedy(self) -> str:
        """What to do, in the policy's own fields."""
        own = {} if self.component == PREDICTOR else REMEDY_OF_A_COMPANION
        return own.get(self.reason, REMEDY[self.reason]).format(self.component)

    @property
    def message(self) -> str:
        """The reason, the cluster's own words, what to do, and what could not be seen."""
        blind = f" (not seen: {'; '.join(self.unseen)})" if self.unseen else ""
        return f"{self.reason}: {self.words}; {self.remedy}{blind}"


def of_companion(found: Diagnosis, kind: str) -> Diagnosis:
    """The same, of a transformer or an explainer: it has no model of its own to load."""
    reason = Reason.CRASH_LOOP if found.reason is Reason.MODEL_LOAD else found.reason
    return replace(found, reason=reason, component=kind)
