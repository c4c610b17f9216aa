"""How late the load generator is, and what it costs, at several rates: the figures behind `max_lag_ms`.

Against the tests' inference server on loopback, in one run, so that the rows compare with each other;
the machine's absolute speed is not the point.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.evidence.conftest import deployment, inference_server, policy
from tidegate.adapters import lanes
from tidegate.adapters.load import arrivals, send_block
from tidegate.core import measured
from tidegate.documents import Generator

SECONDS = 6.0


def golden(folder: Path) -> Path:
    """Golden data of the model that the server serves."""
    x = np.random.default_rng(7).normal(size=(20, 2)).astype(np.float32)
    label = (x.sum(axis=1) > 0).astype(np.int64)
    np.savez(folder / "golden.npz", **{"input.x": x, "output.label": label, "output.score": 2 * x})
    return folder / "golden.npz"


def run(protocol: str, rate_rps: float, port: int, data: Path) -> Generator:
    """One block of Poisson arrivals; how fit the generator was."""
    os.environ["TIDEGATE_INGRESS_URL"] = f"http://127.0.0.1:{port}"
    wanted = policy(load={"protocol": protocol, "rate_rps": rate_rps})
    lane = lanes.candidate_lane(deployment(first_release=True), wanted, golden_path=data)
    try:
        starts = arrivals("poisson", requests=round(rate_rps * SECONDS), duration_s=SECONDS, seed=1)
        block = send_block(lane, starts, lambda _: None, watch_every_s=SECONDS)
    finally:
        lane.close()
    return measured.generator([block], wanted.load)


def main() -> None:
    """Print a table."""
    print(f"{'protocol':<10}{'rps':>6}{'lag p99 ms':>12}{'CPU of a core':>15}{'delivered':>11}")
    with (
        tempfile.TemporaryDirectory() as folder,
        inference_server({"hosts": {"candidate.test": {}}, "grpc": True}) as ports,
    ):
        data = golden(Path(folder))
        for protocol in ("http", "grpc"):
            for rate in (50, 200, 500):
                fit = run(protocol, rate, ports[protocol], data)
                row = f"{protocol:<10}{rate:>6}{fit.lag_p99_ms:>12.2f}{fit.cpu_share:>15.0%}"
                print(f"{row}{fit.delivered_ratio:>11.1%}", flush=True)


if __name__ == "__main__":
    main()
