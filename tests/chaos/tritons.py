"""A world of real Tritons, and the nastiest deaths in it, by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from tests.chaos.cells import Cell, Death
from tests.chaos.courses import (
    CANDIDATE,
    INCUMBENT,
    NEVER_READY,
    NEXT,
    Mode,
    Patience,
    Verb,
    course,
)
from tests.chaos.dying import Moment
from tests.chaos.world import World
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.triton import TritonRuntime

PATIENCE = Patience(ready_s=120, hopeless_s=120, step_s=60, actor_s=300)
CONFIG = """\
backend: "onnxruntime"
max_batch_size: 8
input { name: "value" data_type: TYPE_FP32 dims: [1] }
output { name: "shifted" data_type: TYPE_FP32 dims: [1] }
instance_group { count: 1 kind: KIND_CPU }
"""


@dataclass(frozen=True)
class Named:
    """A cell that tells what it is."""

    sentence: str
    cell: Cell


def _named(
    sentence: str,
    name: str,
    write: str,
    moment: Moment,
    rescue: Verb,
    again: str = "",
    mode: Mode = "Knative",
) -> Named:
    """`write` is the name of the first write of that name; `again`, of the one that ends the rescue."""
    death = Death(number=1, name=write, occurrence=1, moment=moment)
    second = Death(number=1, name=again, occurrence=1, moment="after") if again else None
    cell = Cell(mode=mode, course=course(name), death=death, rescue=rescue, second=second)
    return Named(sentence, cell)


STAGE = "PATCH inferenceservice, model 2, 0 %"
SHIFT = "PATCH inferenceservice, {} %"
CANARY = "PATCH inferenceservice, canary model 2"
RENAME = "PATCH inferenceservice, model 2, canary"
ABORTED = "PUT journal, RETURNING, SHIFT 50 % meant, 10 % judged PASS"
RESTORE = "PATCH inferenceservice, model 1"
STAGED = "PUT journal, STAGED, STAGE 0 % seen"
PROMOTED = "PUT journal, ENDED, SHIFT 100 % seen, 100 % judged PASS, PROMOTED"

NAMED = (
    _named(
        "It dies right after the candidate's template went out, before a word of it is noted.",
        "promote", STAGE, "after", "guard",
    ),
    _named(
        "It dies while KServe already has the staged spec and the answer is under way; the same step "
        "is run again and goes on.",
        "promote", STAGE, "lost", "resume",
    ),
    _named(
        "It dies with the candidate loaded and dark, before the journal says so; nobody but the "
        "sweep ever comes.",
        "promote", STAGED, "before", "sweep",
    ),
    _named(
        "It dies between the intent to give 10 % and the patch.",
        "promote", SHIFT.format(10), "before", "guard",
    ),
    _named(
        "It dies right after 10 % of production went to the candidate, with the Lease in its hand.",
        "promote", SHIFT.format(10), "after", "sweep",
    ),
    _named(
        "The answer to 50 % is lost with the process.",
        "promote", SHIFT.format(50), "lost", "guard",
    ),
    _named(
        "The answer to 100 % is lost with the process: the incumbent is about to be scaled away, and "
        "has to be warmed again.",
        "promote", SHIFT.format(100), "lost", "guard",
    ),
    _named(
        "It dies when all of production is proven on the candidate, before the journal is closed; "
        "run again, it is promoted.",
        "promote", PROMOTED, "before", "resume",
    ),
    _named(
        "The live gate fails at 50 %, and it dies right after it took the traffic back.",
        "fails-at-50", SHIFT.format(0), "after", "resume",
    ),
    _named(
        "The live gate fails at 100 %, and it dies while the incumbent's template warms up beside "
        "the candidate that serves.",
        "fails-at-100", f"{RESTORE}, 0 %", "after", "sweep",
    ),
    _named(
        "It dies at 50 %, and the guard dies as well, right after it restored the incumbent's "
        "template.",
        "promote", SHIFT.format(50), "after", "guard", RESTORE,
    ),
    _named(
        "The candidate cannot be loaded by Triton, and it dies before it takes the template back.",
        "never-ready", RESTORE, "before", "sweep",
    ),
    _named(
        "It dies right after the canary went out, before a word of it is noted.",
        "promote", f"{CANARY}, 0 %", "after", "guard", mode="Standard",
    ),
    _named(
        "The answer to 50 % is lost with the process, and the Lease with it.",
        "promote", f"{CANARY}, 50 %", "lost", "sweep", mode="Standard",
    ),
    _named(
        "The answer to the renaming is lost: the candidate already takes the incumbent's place; it is "
        "resumed.",
        "promote", RENAME, "lost", "resume", mode="Standard",
    ),
    _named(
        "It dies right after the renaming, and guard undoes it.",
        "promote", RENAME, "after", "guard", mode="Standard",
    ),
    _named(
        "The live gate fails at 50 %, and it dies while the canary is taken out of the spec.",
        "fails-at-50", "PATCH inferenceservice, canary", "lost", "sweep", mode="Standard",
    ),
    _named(
        "A release that died at 50 % is aborted, and the abort dies right after it took it over.",
        "abort-at-50", ABORTED, "after", "abort", mode="Standard",
    ),
)  # fmt: skip


@contextmanager
def triton_world(folder: Path, mode: Mode) -> Iterator[World]:
    """A world of real Tritons that serve a tiny ONNX model."""
    models, spawner = folder / "models", Spawner()
    for version in (INCUMBENT, CANDIDATE, NEXT):
        _write_model(models / str(version), version, _shift_by(version))
    _write_model(models / f"{CANDIDATE}-{NEVER_READY}", CANDIDATE, b"not ONNX")
    runtime = TritonRuntime(folder / "tritons", spawner=spawner, drain_s=0.5)

    def uri(version: int, fate: str) -> str:
        return f"file://{models}/{version}{f'-{fate}' if fate else ''}/"

    world = World(folder, mode, runtime, uri, PATIENCE, spawner)
    try:
        world.start()
        yield world
    finally:
        world.close()
        spawner.close()


def _shift_by(version: int) -> bytes:
    """A model that adds its version: its answers tell which one they are from."""
    shift = helper.make_tensor("shift", TensorProto.FLOAT, [1], [float(version)])
    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])
    shifted = helper.make_tensor_value_info("shifted", TensorProto.FLOAT, [None, 1])
    add = helper.make_node("Add", ["value", "shift"], ["shifted"])
    graph = helper.make_graph([add], "shift", [value], [shifted], [shift])
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _write_model(repository: Path, version: int, model: bytes) -> None:
    folder = repository / "shift" / str(version)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    (folder.parent / "config.pbtxt").write_text(CONFIG)
