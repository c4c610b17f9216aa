"""The load generator beside perf_analyzer: the same real Triton, the same model of about 2 ms, one run.

In turn (ours, theirs, theirs, ours) so that a drift of the machine meets both alike; the medians are
compared. CPU per request is of the client alone, by the server's own count of requests.
Writes docs/load-generator.md with --write.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.evidence.conftest import policy
from tidegate.adapters import perf_analyzer, serving
from tidegate.adapters.fleet import Fleet
from tidegate.adapters.ingress import Target
from tidegate.adapters.lanes import Check, Way
from tidegate.adapters.load import Schedule
from tidegate.core.measured import quantile
from tidegate.documents import Tensor
from tidegate.errors import UnavailableError
from tidegate.sandbox import triton_command

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "load-generator.md"
WIDTH, ROWS, WINDOW_S = 256, 32, 3.0
BELOW, SATURATED = 1, 4  # requests in flight; the model has one instance
INPUTS = (Tensor(name="x", dtype="FP32", shape=(-1, WIDTH)),)
COMMAND = "make bench-load"


def network(layers: int) -> onnx.ModelProto:
    """A chain of matrix products."""
    weights = np.random.default_rng(1).normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
    names = ["x", *(f"h{n}" for n in range(1, layers)), "y"]
    nodes = [helper.make_node("MatMul", [names[n], "w"], [names[n + 1]]) for n in range(layers)]
    shape = ["batch", WIDTH]
    graph = helper.make_graph(
        nodes, "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model


def layers_of(answer_ms: float) -> int:
    """So many layers as take so long on one thread of this machine, by the median."""
    options, tried, times = onnxruntime.SessionOptions(), 300, []
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        network(tried).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    for _ in range(300):
        began = time.perf_counter()
        session.run(None, {"x": np.ones((1, WIDTH), np.float32)})
        times.append(1000 * (time.perf_counter() - began))
    return round(tried * answer_ms / statistics.median(times))


def write_model(folder: Path, layers: int) -> None:
    """One instance, no batching: the service time is the model's alone."""
    (folder / "m" / "1").mkdir(parents=True, exist_ok=True)
    onnx.save(network(layers), str(folder / "m" / "1" / "model.onnx"))
    (folder / "m" / "config.pbtxt").write_text(
        'backend: "onnxruntime"\nmax_batch_size: 8\n'
        f'input {{ name: "x" data_type: TYPE_FP32 dims: [{WIDTH}] }}\n'
        f'output {{ name: "y" data_type: TYPE_FP32 dims: [{WIDTH}] }}\n'
        "instance_group { count: 1 kind: KIND_CPU }\n"
        'parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n'
    )


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def triton(folder: Path, layers: int) -> Iterator[tuple[int, int]]:
    """The real server with the model; its HTTP and gRPC ports."""
    write_model(folder / "models", layers)
    http, grpc, metrics = free_ports(3)
    backends = triton_command.assemble_backends(folder / "backends")
    command = triton_command.arguments(
        models=folder / "models", backends=backends, ports=(http, grpc, metrics),
        prefix=f"tidegate-bench-{os.getpid()}-", extra=(),
    )  # fmt: skip
    with (folder / "triton.log").open("w") as log:
        process = subprocess.Popen(
            command, env=triton_command.environment({}), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            await_ready(http, process, folder / "triton.log")
            yield http, grpc
        finally:
            process.terminate()
            process.wait(timeout=15)


def await_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the model is ready, a minute at most."""
    with httpx.Client() as client:
        for _ in range(600):
            if process.poll() is not None:
                break
            try:
                if client.get(f"http://127.0.0.1:{port}/v2/models/m/ready").is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
    raise SystemExit(f"Triton is not ready: {log.read_text()[-500:]}")


def answered(port: int) -> int:
    """Requests that the server has answered so far."""
    with httpx.Client() as client:
        stats = client.get(f"http://127.0.0.1:{port}/v2/models/m/stats").json()["model_stats"]
    return sum(int(one["inference_stats"]["success"]["count"]) for one in stats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement."""

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


def ours(protocol: str, ports: tuple[int, int], x: np.ndarray, concurrency: int) -> Row:
    """One closed-loop level of the load generator, with every answer checked."""
    made = policy(load={"protocol": protocol})
    golden = serving.Golden(inputs={"x": x}, outputs={"y": expected(x)})
    rows = serving.golden_rows(golden, INPUTS)
    requests = (
        serving.grpc_requests(rows, INPUTS, outputs=("y",), model="m")
        if protocol == "grpc"
        else serving.rest_requests(rows, INPUTS, outputs=("y",))
    )
    port = ports[1] if protocol == "grpc" else ports[0]
    way = Way(
        to=Target(address="127.0.0.1", port=port, tls=None, host=f"127.0.0.1:{port}"),
        protocol=protocol, model="m", requests=requests, rows=rows,
        check=Check(golden=golden, policy=made, version="1"), connections=concurrency, timeout_s=5.0,
    )  # fmt: skip
    with Fleet(way=way) as fleet:
        for seconds in (1.0, 3 * WINDOW_S):  # the first one warms up
            schedule = Schedule(
                starts=(0.0,) * 200_000,
                closed=True,
                workers=concurrency,
                least_s=seconds,
                most_s=seconds,
            )
            level = fleet.send(schedule, lambda _: None, watch_every_s=60.0)
    if level.errors or level.wrong:
        raise SystemExit(f"{level.errors} failed, {level.wrong} wrong: {level.first_problem}")
    return Row(
        rps=len(level.latencies_ms) / level.duration_s,
        p50_ms=quantile(level.latencies_ms, 0.5) or 0.0,
        p99_ms=quantile(level.latencies_ms, 0.99) or 0.0,
        cpu_ms=1000 * level.cpu_s / len(level.latencies_ms),
    )


LAYERS = 0


def expected(x: np.ndarray) -> np.ndarray:
    """The model's answers, by numpy."""
    weights = np.random.default_rng(1).normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
    for _ in range(LAYERS):
        x = x @ weights
    return x


def theirs(protocol: str, ports: tuple[int, int], x: np.ndarray, concurrency: int) -> Row:
    """The same level of perf_analyzer."""
    binary = perf_analyzer.find()
    if binary is None:
        raise SystemExit(f"perf_analyzer is not there; {COMMAND} installs it")
    port = ports[1] if protocol == "grpc" else ports[0]
    address, before = f"127.0.0.1:{port}", answered(ports[0])
    site = Path(httpx.__file__).parents[1]
    level = perf_analyzer.measure(
        binary, model="m", address=address, protocol=protocol, host=address,
        rows=[{"x": row[None, :]} for row in x], concurrency=concurrency,
        window_s=WINDOW_S,
        library_roots=(binary.parents[1], site / "nvidia_pytriton.libs"),
    )  # fmt: skip
    requests = answered(ports[0]) - before
    return Row(
        rps=level.throughput_rps, p50_ms=level.p50_ms, p99_ms=level.p99_ms,
        cpu_ms=1000 * level.cpu_s / max(1, requests),
    )  # fmt: skip


def again(measure: Callable[[], Row]) -> Row:
    """Three tries: on a busy machine perf_analyzer's windows differ too much to be told."""
    for _ in range(2):
        try:
            return measure()
        except UnavailableError as error:
            print(f"again: {error}", flush=True)
    return measure()


def median_row(rows: list[Row]) -> Row:
    """The median of each figure."""
    return Row(
        rps=statistics.median(r.rps for r in rows),
        p50_ms=statistics.median(r.p50_ms for r in rows),
        p99_ms=statistics.median(r.p99_ms for r in rows),
        cpu_ms=statistics.median(r.cpu_ms for r in rows),
    )


def compare(ports: tuple[int, int], x: np.ndarray) -> list[str]:
    """The table's lines."""
    lines = []
    for protocol in ("http", "grpc"):
        for concurrency, what in ((BELOW, "below saturation"), (SATURATED, "saturated")):
            found: dict[str, list[Row]] = {"ours": [], "theirs": []}
            for who in ("ours", "theirs", "theirs", "ours"):
                measure = ours if who == "ours" else theirs
                found[who].append(again(lambda: measure(protocol, ports, x, concurrency)))  # noqa: B023
            mine, other = median_row(found["ours"]), median_row(found["theirs"])
            for name, row in (("tidegate", mine), ("perf_analyzer", other)):
                lines.append(
                    f"| {protocol} | {what} ({concurrency} in flight) | {name} | {row.rps:.0f} | "
                    f"{row.p50_ms:.2f} | {row.p99_ms:.2f} | {row.cpu_ms:.3f} |"
                )
            lines.append(
                f"| {protocol} | {what} | ratio | {mine.rps / other.rps:.2f} | "
                f"{mine.p50_ms / other.p50_ms:.2f} | {mine.p99_ms / other.p99_ms:.2f} | "
                f"{mine.cpu_ms / other.cpu_ms:.2f} |"
            )
            print("\n".join(lines[-3:]), flush=True)
    return lines


HEAD = """| protocol | load | client | requests/s | p50 ms | p99 ms | client CPU ms/request |
|---|---|---|---|---|---|---|"""
BEGIN, END = "<!-- generated: make bench-load -->", "<!-- end -->"


def written(lines: list[str]) -> None:
    """Replace the generated block of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    block = "\n".join([HEAD, *lines])
    PAGE.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Find the size of model that takes about 2 ms, then measure in turn."""
    global LAYERS
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--answer-ms", type=float, default=2.0, help="of the model alone")
    arguments.add_argument("--write", action="store_true", help="into docs/load-generator.md")
    given = arguments.parse_args()
    LAYERS = layers_of(given.answer_ms)
    x = np.random.default_rng(7).normal(size=(ROWS, WIDTH)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, triton(Path(folder), LAYERS) as ports:
        print(f"{LAYERS} layers\n{HEAD}", flush=True)
        lines = compare(ports, x)
    if given.write:
        written(lines)


if __name__ == "__main__":
    main()
