"""Peak memory of the steps that a large model passes: 3 GB of ONNX with external data, each step a process.

The model is a chain of matrix products, registered in a real MLflow as its onnx flavor logs it. A step's peak
is the kernel's: VmHWM of its process, memory-mapped files included, and ru_maxrss of its largest child. Exit
1 when a target is missed: fetch, configure and publish below 1 GiB, optimize (parity) below 1 GiB + 2.2 x the
model.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "memory.md"
GIB = 1 << 30
WIDTH = 4096
SQUARE = 4 * WIDTH**2  # bytes of one weight, 64 MiB
STEPS = ("fetch", "optimize", "configure", "publish")


def model(folder: Path, gigabytes: float) -> Any:
    """A chain of products that keeps its numbers small; weights are written to a file one by one."""
    from onnx import TensorProto, helper

    drawn, nodes, weights, last = np.random.default_rng(0), [], [], "X"
    with (folder / "weights.data").open("wb") as file:
        for n in range(round(gigabytes * 1e9 / SQUARE)):
            values = drawn.standard_normal((WIDTH, WIDTH), np.float32) / np.float32(WIDTH**0.5)
            weights.append(external(f"W{n}", n * SQUARE))
            file.write(values.tobytes())
            nodes.append(helper.make_node("MatMul", [last, f"W{n}"], [f"Y{n}"]))
            last = f"Y{n}"
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["batch", WIDTH])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def external(name: str, offset: int) -> Any:
    """A weight that lies in the file beside the graph."""
    from onnx import TensorProto

    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.data"), ("offset", offset), ("length", SQUARE)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def log(url: str, folder: str, gigabytes: str) -> None:
    """Save a model as MLflow does and register it with golden rows; in a process of its own."""
    import mlflow
    import mlflow.onnx

    mlflow.set_tracking_uri(url)
    whole = Path(folder) / "whole"
    whole.mkdir()
    (whole / "model.onnx").write_bytes(model(whole, float(gigabytes)).SerializeToString())
    (whole / "MLmodel").write_text(json.dumps({"flavors": {"onnx": {"data": "model.onnx"}}}))
    rows = np.random.default_rng(1).standard_normal((64, WIDTH)).astype(np.float32)
    np.savez(whole / "golden.npz", **{"input.X": rows})
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(whole), "model")
    client = mlflow.MlflowClient()
    client.create_registered_model("large")
    client.create_model_version("large", f"{run.info.artifact_uri}/model", run.info.run_id)


def step(name: str, folder: str) -> None:
    """One step in this process; its peak is the last line."""
    from tidegate.steps.execution import execute
    from tidegate.steps.registry import steps

    one = steps()[name]
    ports: dict[str, Any] = {p.name: Path(folder) / p.name for p in one.parameters if p.port}
    if name == "resolve":
        ports |= {"policy": str(Path(folder) / "policy.json"), "release_id": "memory"}
    result = execute(one, ports)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    own = int(status.partition("VmHWM:")[2].split()[0])
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"verdict": result.get("verdict", "PASS"), "peak": 1024 * (own + largest)}))


def child(*arguments: str) -> Any:
    """This script in a process of its own; the last line of its output."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=900,
    )
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None


def measured(folder: Path, gigabytes: float) -> tuple[int, list[tuple[str, int, float]]]:
    """Bytes of the model, and (step, peak bytes, seconds) of each."""
    from tidegate.sandbox.mlflow_server import MlflowServer

    server = MlflowServer(folder / "mlflow")
    server.start(timeout_s=300)
    os.environ |= {
        "MLFLOW_TRACKING_URI": server.url,
        "TIDEGATE_STORAGE_URI": (folder / "store").as_uri(),
    }
    policy = {"name": "large", "model": {"uri": "models:/large/1"}}
    (folder / "policy.json").write_text(json.dumps(policy))
    found = []
    try:
        child("log", server.url, str(folder), str(gigabytes))
        size = (folder / "whole" / "weights.data").stat().st_size
        for name in ("resolve", *STEPS):
            began = time.monotonic()
            said = child("step", name, str(folder))
            if said["verdict"] != "PASS":
                raise SystemExit(f"{name} said {said['verdict']}")
            found.append((name, int(said["peak"]), time.monotonic() - began))
    finally:
        server.close()
    return size, found[1:]


def page(size: int, found: list[tuple[str, int, float]]) -> str:
    """The figures as docs/memory.md tells them."""
    rows = "\n".join(
        f"| {name} | {peak / GIB:.2f} GiB | {limit(name, size) / GIB:.2f} GiB | {seconds:.0f} s |"
        for name, peak, seconds in found
    )
    return (
        "# Memory\n\nWritten by `make bench-memory WRITE=1`: a chain of matrix products of "
        f"{size / 1e9:.1f} GB of weights beside the graph, from a real MLflow through the steps, each a "
        "process of its own.\nThe peak is the kernel's resident set, memory-mapped files included; the time "
        "is of a machine that did other work too.\n\n| step | peak | allowed | took |\n|---|---:|---:|---:|\n"
        f"{rows}\n"
    )


def limit(name: str, size: int) -> float:
    """The most that a step may take."""
    return GIB + 2.2 * size if name == "optimize" else GIB


def main() -> int:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size, found = measured(Path(folder), given.gigabytes)
    text = page(size, found)
    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    return int(any(peak > limit(name, size) for name, peak, _ in found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["log"]:
        log(*sys.argv[2:])
    elif sys.argv[1:2] == ["step"]:
        step(*sys.argv[2:])
    else:
        raise SystemExit(main())
