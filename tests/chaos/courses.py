"""The courses that a release can take, each of which is killed at every write; and its documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from tidegate.documents import ModelRepository, Published, Subject, Tensor, Verdict, Word
from tidegate.policy import Policy

Mode = Literal["Knative", "Standard"]
MODES: tuple[Mode, ...] = get_args(Mode)
Verb = Literal["release", "abort", "resume", "rollback", "guard", "sweep", "nobody"]
NEVER_READY = "never-ready"
OWN_LABEL = "of-version-"
INCUMBENT, CANDIDATE, NEXT = 1, 2, 3  # versions of the model, counted from the cell's first one

# Right after this write the release has died, before somebody typed the verb that is to die.
STAGED = "PUT journal, STAGED, STAGE 0 % seen"
AT_HALF = "50 %"
TAKEN_BACK = "0 %"


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happens to the candidate when nobody is killed."""

    name: str
    sentence: str
    gate: Word = Word.PASS
    live: Mapping[int, Word] = field(default_factory=dict)  # percent -> the live gate's word
    crashes_at: int = 0  # percent at which the candidate's container is seen crashed
    fate: str = ""  # how the candidate's model behaves, told by the end of its storage URI
    first: bool = False  # nothing serves before
    initial: Literal["allow", "preview"] = "allow"
    baseline: Literal["matched", "dedicated"] = "matched"
    candidate_may_serve: bool = True
    verb: Verb = "release"  # what is killed at every write
    died_at: str = (
        ""  # before the verb: the write, or the share, right after which the release died
    )
    rescues: tuple[Verb, ...] = ("guard", "resume", "sweep")
    joins: str = (
        ""  # the course whose cluster and journal this one has from some write on, to the end
    )

    @property
    def start(self) -> tuple[object, ...]:
        """What tells the beginning of this course from that of another."""
        return self.verb, self.died_at, self.first, self.initial, self.baseline

    def death_before(self, mode: Mode) -> str:
        """The name of the write right after which the release died; '' when it did not."""
        if not self.died_at.endswith("%"):
            return self.died_at
        shown = {"Knative": "", "Standard": f"canary model {CANDIDATE}, "}[mode]
        return f"PATCH inferenceservice, {shown}{self.died_at}"

    def word(self, percent: int) -> Word:
        """What the live gate says there."""
        return self.live.get(percent, Word.PASS)


HAND: tuple[Verb, ...] = ("abort", "guard", "resume", "sweep")
AGAIN: tuple[Verb, ...] = (
    "resume",
    "sweep",
    "abort",
)  # guard leaves a resumed promotion to its hand

COURSES = (
    Course(name="promote", sentence="a good candidate goes 10, 50, 100"),
    Course(
        name="gate-fails", sentence="the gate says FAIL at 0 %", gate=Word.FAIL,
        candidate_may_serve=False,
    ),
    Course(name="fails-at-10", sentence="the live gate says FAIL at 10 %", live={10: Word.FAIL}),
    Course(name="fails-at-50", sentence="the live gate says FAIL at 50 %", live={50: Word.FAIL}),
    Course(name="fails-at-100", sentence="the live gate says FAIL at 100 %", live={100: Word.FAIL}),
    Course(
        name="crashes-at-50", sentence="the candidate is seen crashed at 50 %: the un-Ready trap",
        live={50: Word.INCONCLUSIVE}, crashes_at=50,
    ),
    Course(
        name="never-ready", sentence="the candidate never gets ready", fate=NEVER_READY,
        candidate_may_serve=False,
    ),
    Course(name="first", sentence="a first release (initial: allow)", first=True),
    Course(
        name="preview", sentence="a first release, judged as a preview", first=True, initial="preview",
    ),
    Course(
        name="preview-fails", sentence="the gate says FAIL of a first release's preview", first=True,
        initial="preview", gate=Word.FAIL, candidate_may_serve=False,
    ),
    Course(
        name="baseline", sentence="a good candidate is judged beside a dedicated baseline",
        baseline="dedicated", joins="promote",
    ),
    Course(
        name="baseline-fails", sentence="the gate says FAIL beside a dedicated baseline",
        baseline="dedicated", gate=Word.FAIL, candidate_may_serve=False, joins="gate-fails",
    ),
    Course(
        name="abort-staged", sentence="a release that died at 0 % is aborted", verb="abort",
        died_at=STAGED, rescues=HAND,
    ),
    Course(
        name="abort-at-50", sentence="a release that died at 50 % is aborted", verb="abort",
        died_at=AT_HALF, rescues=HAND,
    ),
    Course(
        name="resume-at-50", sentence="a promotion that died at 50 % is resumed", verb="resume",
        died_at=AT_HALF, rescues=AGAIN,
    ),
    Course(
        name="resume-return", sentence="a return that died at its first act is resumed",
        live={50: Word.FAIL}, verb="resume", died_at=TAKEN_BACK, rescues=AGAIN,
    ),
    Course(
        name="rollback", sentence="a version that serves is rolled back to the one before",
        verb="rollback", rescues=("rollback", "resume", "sweep", "abort"),
    ),
)  # fmt: skip


def course(name: str) -> Course:
    """By its name."""
    return next(one for one in COURSES if one.name == name)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long things may take; light servers are up in a moment, real ones are not."""

    ready_s: float = 20.0
    hopeless_s: float = 1.0  # for the candidate that never gets ready
    step_s: float = 20.0
    actor_s: float = 90.0  # for a process to end


def own_label(version: int) -> str:
    """A label that the policy of this version alone names."""
    return f"{OWN_LABEL}{version}"


def policy(
    name: str,
    mode: Mode,
    *,
    version: int,
    fate: str = "",
    initial: str,
    baseline: str = "matched",
    steps: tuple[int, ...],
    patience: Patience,
) -> Policy:
    """A policy with the shortest bakes; its limits are wide, so that a busy machine fails no cell.

    In Knative mode each version has a field of its own, which the release after it takes away.
    """
    own = {"labels": {own_label(version): "yes"}} if mode == "Knative" else {}
    ready = patience.hopeless_s if fate == NEVER_READY else patience.ready_s
    traffic = {
        "steps": steps, "bake_s": 0.05, "max_bake_s": 20.0,
        "step_timeout_s": patience.step_s,
    }  # fmt: skip
    base = {
        "name": name, "initial": initial, "model": {"uri": f"models:/{name}/1"},
        "load": {"baseline": baseline},
        "serving": {"ready_timeout_s": ready, "mode": mode, **own}, "traffic": traffic,
    }  # fmt: skip
    return Policy.model_validate(base)


def published(uri: str, version: int) -> Published:
    """The model as the steps before deploy would have left it."""
    subject = Subject(model="shift", version=str(version), digest=f"sha256:{version:064d}")
    value = Tensor(name="value", dtype="FP32", shape=(-1, 1))
    shifted = Tensor(name="shifted", dtype="FP32", shape=(-1, 1))
    repository = ModelRepository(
        subject=subject, triton_model="shift", triton_version="2.51.0",
        model_version=str(version), backend="onnxruntime", max_batch_size=8, inputs=(value,),
        outputs=(shifted,), digest="d",
    )  # fmt: skip
    return Published(subject=subject, repository=repository, storage_uri=uri, uploaded=True)


def verdict(about: Subject, release_id: str, word: Word) -> Verdict:
    """The gate's word, as the course wants it."""
    return Verdict(
        subject=about, release_id=release_id, stage="gate", word=word,
        reason="as the course wants it", findings=(),
    )  # fmt: skip
