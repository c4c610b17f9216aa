"""The ways through a release that together make every call: what was before, and the step that is run."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.faults.stage import CRASHED, Stage, is_up
from tests.steps.traffic.traffic_cluster import uri
from tidegate.documents import Word


def nothing(_stage: Stage) -> None:
    """An empty cluster."""


def first(stage: Stage) -> None:
    """Version 1 is live and not yet confirmed."""
    stage.deploy(1)


def by_preview(stage: Stage) -> None:
    """An empty cluster, in which a first release is judged as a preview."""
    stage.initial = "preview"


def previewed(stage: Stage) -> None:
    """Version 1 is up as a preview, and judged."""
    by_preview(stage)
    stage.deploy(1)


def first_crashing(stage: Stage) -> None:
    """An empty cluster, in which version 1 will not start."""
    stage.cluster.runtime.fates[uri(1)] = CRASHED


def first_crashed(stage: Stage) -> None:
    """Version 1 was live, and is no longer ready."""
    stage.deploy(1)
    stage.cluster.runtime.fates[uri(1)] = CRASHED
    stage.cluster.wait(lambda: not is_up(stage))
    stage.patience_s = 1.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`run` is the step under test; `ends` how it ends on a sound wire; `share` the candidate's at most."""

    name: str
    step: str
    before: Callable[[Stage], None]
    run: Callable[[Stage], str]
    ends: str
    share: int = 0
    mode: str = "Knative"

    def __str__(self) -> str:
        return self.name


DEPLOY = Scene(
    name="deploy", step="deploy", before=Stage.live, run=lambda s: s.deploy(2), ends="staged"
)
PROMOTE = Scene(
    name="promote", step="promote", before=Stage.dark, run=Stage.promote, ends="PROMOTED", share=100
)
GATE = Scene(name="gate with a job", step="gate", before=Stage.dark, run=Stage.gate, ends="PASS")
ROLL_BACK = Scene(
    name="roll-back", step="roll-back", before=Stage.dark, run=Stage.roll_back, ends="ROLLED_BACK"
)
GUARD = Scene(
    name="guard", step="guard", before=Stage.half_way, run=Stage.guard, ends="DIED", share=10
)
AWAIT_APPROVAL = Scene(
    name="await-approval", step="await-approval", before=Stage.approved, run=Stage.await_approval,
    ends="approve",
)  # fmt: skip
PREVIEW = replace(DEPLOY, name="deploy of a preview", before=by_preview, run=lambda s: s.deploy(1))
ABORT = Scene(
    name="abort", step="abort", before=Stage.half_way, run=Stage.abort, ends="ABORTED", share=10
)
RESUME = Scene(
    name="resume",
    step="resume",
    before=Stage.half_way,
    run=Stage.resume,
    ends="PROMOTED",
    share=100,
)
GO_BACK = Scene(
    name="rollback --to", step="rollback --to", before=Stage.succeeded, run=Stage.go_back,
    ends="PROMOTED", share=100,
)  # fmt: skip
SWEEP = Scene(
    name="sweep", step="sweep", before=Stage.half_way, run=Stage.sweep, ends="returned 1", share=10
)
KNATIVE = (
    DEPLOY,
    replace(DEPLOY, name="deploy of the first", before=nothing, run=lambda s: s.deploy(1), share=100),
    replace(DEPLOY, name="deploy of a crashing one", before=Stage.crashing, ends="refused, FAIL"),
    replace(
        DEPLOY, name="deploy that KServe refuses", ends="refused, INVALID",
        run=lambda s: s.deploy(2, storage_uri="gopher://models/digits/2/"),
    ),
    replace(
        DEPLOY, name="deploy of a crashing first", before=first_crashing, run=lambda s: s.deploy(1),
        ends="refused, FAIL", share=100,
    ),
    replace(DEPLOY, name="deploy on GPUs", before=Stage.on_gpus),
    GATE,
    replace(GATE, name="gate with a job that fails", before=Stage.biased, ends="FAIL"),
    PROMOTE,
    replace(PROMOTE, name="promote the first", before=first),
    replace(PROMOTE, name="promote a crashed first", before=first_crashed, ends="ROLLED_BACK"),
    replace(
        PROMOTE, name="promote a bad one", run=lambda s: s.promote(at_10=Word.FAIL),
        ends="ROLLED_BACK", share=10,
    ),
    replace(
        PROMOTE, name="promote one that crashes", before=Stage.doomed, ends="ROLLED_BACK", share=10
    ),
    AWAIT_APPROVAL,
    ROLL_BACK,
    replace(ROLL_BACK, name="roll-back of the first", before=first, share=100),
    GUARD,
    replace(GUARD, name="guard of the first", before=first, share=100),
    replace(GUARD, name="guard of a crashed one", before=Stage.dead_half_way),
    SWEEP,
    replace(SWEEP, name="sweep of a crashed one", before=Stage.dead_half_way),
    replace(SWEEP, name="sweep of the first", before=first, share=100),
    PREVIEW,
    replace(PROMOTE, name="promote a preview", before=previewed),
    replace(ROLL_BACK, name="roll-back of a preview", before=previewed),
    replace(GUARD, name="guard of a preview", before=previewed, share=0),
    replace(SWEEP, name="sweep of a preview", before=previewed, share=0),
    ABORT,
    replace(ABORT, name="abort of a preview", before=previewed, share=0),
    RESUME,
    replace(RESUME, name="resume of a return", before=Stage.half_returned, ends="ROLLED_BACK", share=10),
    GO_BACK,
    replace(
        GO_BACK, name="rollback --to a broken one", before=Stage.succeeded_a_broken,
        ends="not promoted", share=0,
    ),
)  # fmt: skip
BESIDE = (
    replace(DEPLOY, name="deploy beside a baseline", before=Stage.beside),
    replace(PROMOTE, name="promote after a baseline", before=Stage.dark_beside),
    replace(ROLL_BACK, name="roll-back of a baseline", before=Stage.dark_beside),
)
RETIRED = (  # in Standard mode no otherwise: they remove it as the roll-back does
    replace(GUARD, name="guard of a baseline", before=Stage.dark_beside, share=0),
    replace(SWEEP, name="sweep of a baseline", before=Stage.dark_beside, share=0),
    replace(ABORT, name="abort of a baseline", before=Stage.dark_beside, share=0),
)


SCALED = (  # by KEDA, which is Standard mode's
    replace(DEPLOY, name="deploy after a scaled one", before=Stage.left_scaled, run=lambda s: s.deploy(3)),
    replace(PROMOTE, name="promote a scaled one", before=Stage.dark_scaled),
)  # fmt: skip


def in_standard(scenes: tuple[Scene, ...]) -> tuple[Scene, ...]:
    """The same in the other mode; a Job is a Job in either."""
    chosen = (s for s in scenes if s.step != GATE.step)
    return tuple(replace(s, name=f"{s.name}, Standard", mode="Standard") for s in chosen)


SCENES = (
    KNATIVE + in_standard(KNATIVE) + BESIDE + RETIRED + in_standard(BESIDE) + in_standard(SCALED)
)
