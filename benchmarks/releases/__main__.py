"""`make bench-releases`: 20 releases of an equal version, 20 of a slower one, one beside stalls.

It can be stopped and taken up again: what has been released is in .tidegate/bench-releases, and the
embedded cluster stays up between two calls. SECONDS=180 begins no further release after so long, RUNS=20
of each kind, DOWN=1 ends the cluster, WRITE=1 puts the figures into docs/gate.md, FRESH=1 forgets what
has been released.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.releases.register import INPUTS
from tidegate.documents import LoadReport, Report, Verdict
from tidegate.orchestrators.local_run import run_release
from tidegate.sandbox.state import StateDirectory

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "gate.md"
BEGIN, END = "<!-- bench-releases: begin -->", "<!-- bench-releases: end -->"
HOME = Path(".tidegate/bench-releases").absolute()
STATE, RESULTS, RUNS = HOME / "sandbox", HOME / "results.jsonl", HOME / "runs"
STALL_S, STALL_EVERY_S = 0.2, 4.0
EQUAL, SLOWER, STALLED = "equal version", "+30 % latency", "stalls of 200 ms"
POLICY = {
    "name": "chain",
    "model": {"uri": "models:/chain/1"},
    "triton": {"max_batch_size": 4, "warmup": True},
    # A third of one core busy; blocks of 1.5 s, so that two releases fit into three minutes.
    "load": {
        "rate_rps": 40,
        "pairs": 12,
        "block_requests": 60,
        "max_extensions": 3,
        "warmup_s": 3,
        "max_lag_ms": 20,
    },
    "slo": {
        "objectives": [
            {"kind": "errors", "limit": 0.01},
            {"kind": "relative_latency", "quantile": "p50", "min_pairs": 12},
            {"kind": "relative_latency", "quantile": "p95", "min_pairs": 12},
        ]
    },
    "traffic": {"steps": [100], "bake_s": 6, "max_bake_s": 40, "min_requests": 5},
    "on_reject": "succeed",
}


def say(text: str) -> None:
    """One line."""
    print(text, flush=True)


def main() -> int:
    """Go on where the last call ended."""
    if os.environ.get("FRESH"):
        down()
        shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True, exist_ok=True)
    wanted, ends = (
        int(os.environ.get("RUNS", "20")),
        time.monotonic() + float(os.environ.get("SECONDS", "180")),
    )
    environment = up()
    with production(environment):
        if not (HOME / "served").is_file():
            say("first release: " + release("1", environment)["result"])
        while time.monotonic() < ends and (kind := next_kind(wanted)) is not None:
            row = one(kind, environment)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            told = f"{row['word']} -> {row['result']} in {row['seconds']:.0f} s: {row['reason']}"
            say(f"{kind}: {told}")
    lines = figures(results(), wanted)
    say("\n".join(lines))
    if os.environ.get("WRITE"):
        write(lines)
    if os.environ.get("DOWN"):
        down()
    return 0


def results() -> list[dict[str, Any]]:
    """Every release so far."""
    if not RESULTS.is_file():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def next_kind(wanted: int) -> str | None:
    """What there is least of; None when all have been released."""
    done = Counter(row["kind"] for row in results())
    left = [kind for kind in (EQUAL, SLOWER) if done[kind] < wanted]
    if not left:
        return STALLED if not done[STALLED] else None
    return min(left, key=lambda kind: done[kind])


# -- the cluster


def up() -> dict[str, str]:
    """The environment of a cluster that serves version 1 or 2."""
    home = StateDirectory(STATE)
    state = home.read()
    if state is None or state.phase != "Ready" or not home.is_held():
        (HOME / "served").unlink(missing_ok=True)
        with (HOME / "up.log").open("w") as log:
            command = [sys.executable, "-m", "tidegate", "sandbox", "up", "--state", str(STATE)]
            subprocess.run(command, check=True, stdout=log, stderr=log)
        state = home.read()
    assert state is not None
    environment = os.environ | state.environment
    if not (HOME / "served").is_file():
        with (HOME / "register.log").open("w") as log:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.releases.register"]
            subprocess.run(command, env=environment, check=True, stdout=log, stderr=log)
    return environment


@contextmanager
def production(environment: dict[str, str]) -> Iterator[None]:
    """Two requests a second for whoever serves, so that a traffic step has something to look at."""
    done = threading.Event()
    thread = threading.Thread(target=_ask, args=(environment, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _ask(environment: dict[str, str], done: threading.Event) -> None:
    url = environment["TIDEGATE_INGRESS_URL"] + "/v2/models/chain/infer"
    row = {"name": "X", "datatype": "FP32", "shape": [1, INPUTS], "data": [0.5] * INPUTS}
    with httpx.Client(headers={"host": "chain-predictor.default.example.com"}) as client:
        while not done.wait(0.5):
            with contextlib.suppress(httpx.HTTPError):  # before the first release nobody answers
                client.post(url, json={"inputs": [row]}, timeout=5)


def down() -> None:
    """End the cluster."""
    command = [sys.executable, "-m", "tidegate", "sandbox", "down", "--state", str(STATE)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


@contextmanager
def stalling() -> Iterator[None]:
    """Every Triton of the cluster stands still for 200 ms, every four seconds."""
    done = threading.Event()
    thread = threading.Thread(target=_stall, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _stall(done: threading.Event) -> None:
    while not done.wait(STALL_EVERY_S):
        held = [p for p in psutil.process_iter(["cmdline"]) if _is_ours(p.info["cmdline"] or [])]
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in held:
                if process.is_running():
                    process.send_signal(number)
            time.sleep(STALL_S if number == signal.SIGSTOP else 0)


def _is_ours(command: list[str]) -> bool:
    return any("tritonserver" in part for part in command[:2]) and str(STATE) in " ".join(command)


# -- one release


def one(kind: str, environment: dict[str, str]) -> dict[str, Any]:
    """Release once; an equal version is whichever of 1 and 2 does not serve."""
    if (HOME / "served").read_text() == "3":  # the gate erred; the next incumbent is not to be slow
        say("version 1 again: " + release("1", environment)["result"])
    served = (HOME / "served").read_text()
    version = "3" if kind == SLOWER else {"1": "2", "2": "1"}[served]
    if kind != STALLED:
        return {"kind": kind, **release(version, environment)}
    with stalling():
        return {"kind": kind, **release(version, environment)}


def release(version: str, environment: dict[str, str]) -> dict[str, Any]:
    """What came of one release, with what the gate said."""
    policy = HOME / "policy.yaml"
    policy.write_text(yaml.safe_dump(POLICY))
    began = time.monotonic()
    ended = run_release(
        str(policy),
        model_uri=f"models:/chain/{version}",
        runs=RUNS,
        environment=environment,
        quiet=True,
    )
    if ended.result == "PROMOTED":
        (HOME / "served").write_text(version)
    row = {"version": version, "result": ended.result, "seconds": time.monotonic() - began}
    return {**row, **_told(ended.report), "reason": ended.reason}


def _told(report: Report | None) -> dict[str, Any]:
    if report is None or not isinstance(report.verdict, Verdict):
        return {"word": "none"}
    told: dict[str, Any] = {"word": report.verdict.word.value}
    if isinstance(report.load, LoadReport):
        told["p99_ms"] = report.load.candidate.p99_ms
        told["pairs"] = len(report.load.blocks) // 2
    for finding in report.verdict.findings:
        if finding.unit == "x":
            told[finding.name] = [finding.observed, finding.lower, finding.upper]
    return told


# -- the figures


def figures(rows: list[dict[str, Any]], wanted: int) -> list[str]:
    """A table, with the targets where all releases of a kind have been made."""
    lines = [
        "| releases of | made | PASS | FAIL | INCONCLUSIVE | INVALID | p50 ratio | target |",
        "|---|" + "---|" * 7,
    ]
    for kind in (EQUAL, SLOWER):
        mine = [row for row in rows if row["kind"] == kind]
        words = Counter(row["word"] for row in mine)
        ratios = sorted(row["p50 vs incumbent"][0] for row in mine if "p50 vs incumbent" in row)
        middle = f"{ratios[len(ratios) // 2]:.2f}" if ratios else "-"
        counts = " | ".join(str(words[w]) for w in ("PASS", "FAIL", "INCONCLUSIVE", "INVALID"))
        lines.append(
            f"| {kind} | {len(mine)} of {wanted} | {counts} | {middle} | {_kept(kind, words, len(mine))} |"
        )
    stalled = [row for row in rows if row["kind"] == STALLED and row.get("p99_ms")]
    for row in stalled:
        shown = "ok" if row["p99_ms"] >= 0.5 * 1000 * STALL_S else "**MISS**"
        lines.append(
            "\nBeside stalls of 200 ms every 4 s the p99 from the intended start was "
            f"{row['p99_ms']:.0f} ms: {shown}."
        )
    return lines


def _kept(kind: str, words: "Counter[str]", made: int) -> str:
    if kind == EQUAL:
        good = words["PASS"] >= 0.9 * made and words["FAIL"] == 0
        return f"PASS >= 18 of 20, FAIL 0: {'ok' if good else '**MISS**'}"
    good = words["PASS"] <= 0.05 * made and words["FAIL"] >= 0.85 * made
    return f"PASS <= 1 of 20, FAIL >= 17: {'ok' if good else '**MISS**'}"


def write(lines: list[str]) -> None:
    """Into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    body = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{body}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
