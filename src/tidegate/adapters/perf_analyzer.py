"""NVIDIA's perf_analyzer, where it is present: a second opinion on throughput and latency, never the judge.

What it does wrong is met here: it needs literal floats and the model's own data; a result file of an earlier
run stays in place when it fails (every run writes a fresh one); an unstable level ends with 2 and gives no
figures; latency counts from the actual send; the first failed request ends the
run; gRPC takes no :authority. https://github.com/triton-inference-server/perf_analyzer
"""

import csv
import importlib.metadata
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.adapters.serving import Row
from tidegate.errors import UnavailableError, UsageError

UNSTABLE_PERCENT = 30  # between its windows; more gives no figures
LIBRARIES = ("libb64.so.0d", "libcudart.so.12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of concurrency; latencies in ms from the actual send. cpu_s is of the whole run, warm-up
    windows included."""

    concurrency: int
    throughput_rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_s: float


def find() -> Path | None:
    """The binary on PATH, or inside an installed tritonclient (its wheels carry it up to 2.60)."""
    found = shutil.which("perf_analyzer")
    if found:
        return Path(found)
    try:
        files = importlib.metadata.files("tritonclient") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    inside = (Path(str(file.locate())) for file in files if file.name == "perf_analyzer")
    return next((path for path in inside if path.is_file()), None)


def libraries(roots: Iterable[Path], folder: Path) -> Path:
    """A folder of links to what the binary loads: wheels keep these under hashed names."""
    for name in LIBRARIES:
        stem, _, suffix = name.partition(".so")
        pattern = re.compile(rf"{re.escape(stem)}(-[0-9a-f]+)?\.so{re.escape(suffix)}$")
        files = (
            file for root in roots for file in root.rglob(f"{stem}*") if pattern.match(file.name)
        )
        if file := next(files, None):
            (folder / name).symlink_to(file)
    return folder


def measure(
    binary: Path,
    *,
    model: str,
    address: str,
    protocol: str,
    host: str,
    rows: Sequence[Row],
    concurrency: int,
    window_s: float,
    tls: bool = False,
    library_roots: Sequence[Path] = (),
    within_s: float = 120.0,
) -> Level:
    """Measure one level with the given rows. Raises UsageError or UnavailableError."""
    if tls:
        raise UsageError("perf_analyzer is not given the ingress's TLS files; measure without TLS")
    if protocol == "grpc" and host != address:
        raise UsageError(f"perf_analyzer cannot set :authority to {host}; measure it over http")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data.json").write_text(json.dumps({"data": [_entry(row) for row in rows]}))
        command = [
            str(binary), "-m", model, "-u", address, "-i", protocol, "--async",
            "--concurrency-range", str(concurrency), "--input-data", str(folder / "data.json"),
            "-p", str(round(1000 * window_s)), "-s", str(UNSTABLE_PERCENT), "-r", "6",
            "-f", str(folder / "out.csv"),
        ]  # fmt: skip
        command += ["-H", f"Host:{host}"] if host != address else []
        paths = [str(libraries(library_roots, folder)), os.environ.get("LD_LIBRARY_PATH", "")]
        environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(filter(None, paths))}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = _run(command, environment, within_s)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return _level(folder / "out.csv", done, cpu)


def _entry(row: Row) -> dict[str, Any]:
    """One request as its input file wants it: flat, the shape without the batch axis, floats as floats."""
    return {
        name: {"content": tensor.reshape(-1).tolist(), "shape": list(tensor.shape[1:])}
        for name, tensor in row.items()
    }


def _run(
    command: list[str], environment: dict[str, str], within_s: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=within_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"perf_analyzer cannot be run ({error})") from error


def _level(written: Path, done: subprocess.CompletedProcess[str], cpu_s: float) -> Level:
    if done.returncode or not written.is_file():
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise UnavailableError(f"perf_analyzer ended with {done.returncode}: {said}")
    with written.open(newline="") as opened:
        row = next(csv.DictReader(opened), None)
    if row is None:
        raise UnavailableError("perf_analyzer wrote no level; its windows held no request")
    return Level(
        concurrency=int(row["Concurrency"]),
        throughput_rps=float(row["Inferences/Second"]),
        p50_ms=float(row["p50 latency"]) / 1000,
        p95_ms=float(row["p95 latency"]) / 1000,
        p99_ms=float(row["p99 latency"]) / 1000,
        cpu_s=cpu_s,
    )
