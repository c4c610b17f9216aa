"""tune against an exhaustive sweep, on two models of different shape: a search must find nearly the best.

For each model tune searches a stated space with at most a fifth of the measurements, and every setting of it
is measured, in a drawn order. Then tune's winner and the sweep's best three are measured again in turn, round
after round, on the other half of the rows, so that the machine's mood meets all alike; the best of the three
by then is what tune is compared with. Goes on where it ended (FRESH=1: from the start). Exit 1 when tune
finds less than 95 % or takes more than a fifth.
"""

import argparse
import json
import os
import random
import shlex
import shutil
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))
import itertools

from tests.steps.model.networks import convolutions, images
from tidegate.adapters import golden_data, model_config_text, onnx_files, onnx_runtime
from tidegate.core import model_config
from tidegate.core.tuning.objective import objective_of
from tidegate.core.tuning.search import budget_for
from tidegate.core.tuning.space import Space
from tidegate.documents import Setting, Trial, Tuning
from tidegate.operations.tuning import searching
from tidegate.operations.tuning.measuring import Pace
from tidegate.operations.tuning.source import Source, from_repository
from tidegate.policy import Policy
from tidegate.steps.progress import configure_logging

ROOT = Path(__file__).parents[1]
STATE, PAGE = ROOT / ".tidegate" / "bench-tune", ROOT / "docs" / "tuning.md"
BEGIN, END = "<!-- figures: make bench-tune WRITE=1 -->", "<!-- end of figures -->"
SPACE = Space(
    max_batch_size=(1, 2, 4, 8, 16, 32),
    instances=(1, 2, 4),
    threads=(1, 2),
    queue_delay_us=(0, 500, 2000),
    most_threads=4,
)
PACE = Pace(step_s=0.8, requests=160, most_in_flight=64)
ROUNDS, RIVALS, LONGER = 9, 3, 2.0
FOUND, SHARE = 0.95, 1 / 5
POLICY = Policy.model_validate({"name": "m", "model": {"uri": "models:/m/1"}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model, rows to ask it, and its latency limit."""

    name: str
    what: str
    model: Any
    rows: Any
    limit_ms: float


def subjects() -> tuple[Subject, ...]:
    """Overhead dominates the one, computing the other."""
    small = "an MLP 16-32-4: a request costs far more than its computation"
    large = "a CNN, 64 x 64 pixels, 16-32-64 channels: computing costs far more than a request"
    drawn = np.random.default_rng(2).normal(size=(64, 16)).astype(np.float32)
    network = convolutions(side=64, channels=(16, 32, 64))
    pictures = images(64, seed=1, side=64)
    return (
        Subject(name="mlp", what=small, model=mlp((16, 32, 4)), rows=drawn, limit_ms=10),
        Subject(name="cnn", what=large, model=network, rows=pictures, limit_ms=60),
    )


def mlp(widths: tuple[int, ...]) -> Any:
    """Layers of drawn weights with ReLU between."""
    from onnx import TensorProto, helper, numpy_helper

    drawn, nodes, weights, last = np.random.default_rng(0), [], [], "X"
    for n, (rows, columns) in enumerate(itertools.pairwise(widths)):
        values = (drawn.normal(size=(rows, columns)) / rows**0.5).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"W{n}"))
        nodes.append(helper.make_node("MatMul", [last, f"W{n}"], [f"p{n}"]))
        nodes.append(helper.make_node("Relu", [f"p{n}"], [f"r{n}"]))
        last = f"r{n}"
    ends = [("X", widths[0]), (last, widths[-1])]
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in ends
    ]
    graph = helper.make_graph(nodes, "mlp", tensors[:1], tensors[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def source_of(subject: Subject, folder: Path) -> Source:
    """Its repository and golden rows on disk."""
    version = folder / "repository" / "m" / "1"
    version.mkdir(parents=True, exist_ok=True)
    onnx.save(subject.model, str(version / "model.onnx"))
    graph = onnx_files.declared(version / "model.onnx", what=subject.name)
    config = model_config.build(
        name="m", backend="onnxruntime", inputs=graph.inputs, outputs=graph.outputs,
        wanted=POLICY.triton, shapes={"X": subject.rows.shape[1:]},
    )  # fmt: skip
    text = model_config_text.to_text(config)
    (version.parent / "config.pbtxt").write_text(text, encoding="utf-8")
    answers = onnx_runtime.load(version / "model.onnx", what=subject.name).run({"X": subject.rows})
    golden_data.save(folder / "golden.npz", {"X": subject.rows}, answers)
    return from_repository(folder / "repository", folder / "golden.npz", POLICY)


def kept(file: Path) -> list[Trial]:
    """Trials of an earlier run."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [Trial.model_validate_json(line) for line in lines]


def keep(file: Path, trial: Trial) -> None:
    """One more."""
    with file.open("a", encoding="utf-8") as out:
        out.write(trial.model_dump_json() + "\n")


def swept(going: searching.Search, file: Path) -> list[Trial]:
    """Every setting once, in a drawn order, so that no neighbour shares the machine's mood."""
    trials = kept(file)
    known = {trial.setting for trial in trials}
    order = list(SPACE.settings())
    random.Random(1).shuffle(order)  # noqa: S311 - repeatable on purpose
    for setting in order:
        if setting in known:
            continue
        trials.append(going.measuring.trial(going.fleet, setting, "sweep"))
        keep(file, trials[-1])
        print(f"{len(trials)}/{len(order)} {searching.told(trials[-1])}", flush=True)
    return trials


def again(going: searching.Search, arms: tuple[Setting, ...], file: Path) -> list[list[Trial]]:
    """Rounds of all arms, each round the other way round."""
    done = kept(file)
    for n in range(len(done), ROUNDS * len(arms)):
        turn, at = divmod(n, len(arms))
        setting = arms[at if turn % 2 == 0 else -1 - at]
        done.append(going.measuring.trial(going.unseen, setting, "fresh data", LONGER))
        keep(file, done[-1])
        print(f"round {turn + 1}/{ROUNDS} {searching.told(done[-1])}", flush=True)
    return [done[at : at + len(arms)] for at in range(0, len(done), len(arms))]


def measured(subject: Subject) -> dict[str, Any]:
    """Sweep, search and rounds of one model."""
    folder = STATE / subject.name
    folder.mkdir(parents=True, exist_ok=True)
    source = source_of(subject, folder)
    settings = SPACE.settings()
    wanted = searching.Wanted(
        objective=objective_of(POLICY.slo, p99_ms=subject.limit_ms),
        space=SPACE,
        pace=PACE,
        budget=budget_for(len(settings)),
    )
    began, document = time.monotonic(), folder / "tuning.json"
    if not document.is_file():
        document.write_text(searching.tuned(source, wanted).model_dump_json(), encoding="utf-8")
        (folder / "search-s").write_text(str(time.monotonic() - began), encoding="utf-8")
    tuning = Tuning.model_validate_json(document.read_text(encoding="utf-8"))
    assert tuning.confirmed is not None, tuning.reason
    with searching.opened(source, wanted) as going:
        sweep = swept(going, folder / "sweep.jsonl")
        best = sorted(sweep, key=lambda trial: trial.rps, reverse=True)[:RIVALS]
        arms = (tuning.confirmed.setting, *(trial.setting for trial in best))
        rounds = again(going, arms, folder / "rounds.jsonl")
    return {"subject": subject, "tuning": tuning, "sweep": sweep, "rounds": rounds, "arms": arms}


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of one model."""
    rounds, arms = found["rounds"], found["arms"]
    by_arm = [[t.rps for turn in rounds for t in turn if t.setting == arm] for arm in arms]
    medians = [statistics.median(one) for one in by_arm]
    at = max(range(1, len(arms)), key=lambda n: medians[n])
    pairs = [_rps(turn, arms[0]) / max(1e-9, _rps(turn, arms[at])) for turn in rounds]
    spread = [max(abs(v / m - 1) for v in one) for one, m in zip(by_arm, medians, strict=True) if m]
    return {
        "subject": found["subject"], "winner": arms[0], "best": arms[at],
        "winner_rps": medians[0], "best_rps": medians[at], "ratio": statistics.median(pairs),
        "low": min(pairs), "high": max(pairs), "noise": statistics.median(spread),
        "taken": found["tuning"].measured, "swept": len(found["sweep"]),
        "kept": sum(trial.best is not None for trial in found["sweep"]),
    }  # fmt: skip


def _rps(turn: list[Trial], arm: Setting) -> float:
    return statistics.mean(trial.rps for trial in turn if trial.setting == arm)


def page(rows: list[dict[str, Any]]) -> str:
    """The figures as docs/tuning.md tells them."""
    lines = [
        (
            f"{len(SPACE.settings())} settings: max_batch_size {_axis('max_batch_size')} x instances "
            f"{_axis('instances')} x threads {_axis('threads')} (at most {SPACE.most_threads} in all) x "
            f"queue delay {_axis('queue_delay_us')} us; levels of {PACE.step_s:g} s; both re-measured "
            f"{ROUNDS} times in turn for {LONGER:g} times as long. On {os.cpu_count()} cores, client and "
            "server together."
        ),
        "",
        (
            "| model | p99 limit | measured by the sweep | by tune | the sweep's best, again | tune's, again "
            "| ratio (of each round) |"
        ),
        "|---|---:|---:|---:|---|---|---:|",
    ]
    for row in rows:
        subject = row["subject"]
        lines.append(
            f"| {subject.what} | {subject.limit_ms:g} ms | {row['swept']} | {row['taken']} | "
            f"{row['best_rps']:.0f} rps: {row['best']} | {row['winner_rps']:.0f} rps: {row['winner']} | "
            f"**{row['ratio']:.1%}** ({row['low']:.0%} to {row['high']:.0%}) |"
        )
    noise = "; ".join(f"{row['subject'].name} {row['noise']:.0%}" for row in rows)
    lines += [
        "",
        (
            f"Noise, the furthest of {ROUNDS} measurements of one setting from their median: "
            f"{noise}. A ratio is the median of those of the {ROUNDS} rounds, each of two neighbours in time."
        ),
    ]
    return "\n".join(lines)


def _axis(name: str) -> str:
    return "{" + ", ".join(map(str, getattr(SPACE, name))) + "}"


def main() -> int:
    """Measure, print, write where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    given = parser.parse_args()
    if given.fresh:
        shutil.rmtree(STATE, ignore_errors=True)
    configure_logging()
    os.environ.setdefault(
        "TIDEGATE_TRITONSERVER", shlex.join([sys.executable, "-m", "tidegate.sandbox.tritonserver"])
    )
    rows = [judged(measured(subject)) for subject in subjects()]
    text = page(rows)
    print(text)
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    missed = [
        row["subject"].name
        for row in rows
        if row["ratio"] < FOUND or row["taken"] > SHARE * row["swept"]
    ]
    print(json.dumps({"missed": missed}))
    return int(bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
