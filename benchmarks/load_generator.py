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
from tidegate.adapters.fleet import Fleet
from tidegate.adapters.load import Schedule, arrivals
from tidegate.core import measured
from tidegate.documents import Generator

SECONDS = 6.0


def golden(folder: Path) -> Path:
    """A tree with golden data of the model that the server serves."""
    x = np.random.default_rng(7).normal(size=(20, 2)).astype(np.float32)
    label = (x.sum(axis=1) > 0).astype(np.int64)
    np.savez(folder / "golden.npz", **{"input.x": x, "output.label": label, "output.score": 2 * x})
    return folder


def run(protocol: str, rate_rps: float, processes: int, port: int, data: Path) -> Generator:
    """One block of Poisson arrivals; how fit the generator was."""
    os.environ["TIDEGATE_INGRESS_URL"] = f"http://127.0.0.1:{port}"
    wanted = policy(load={"protocol": protocol, "rate_rps": rate_rps})
    way = lanes.candidate_way(deployment(first_release=True), wanted, golden=data / "golden.npz")
    starts = arrivals("poisson", requests=round(rate_rps * SECONDS), duration_s=SECONDS, seed=1)
    with Fleet(way=way, processes=processes) as fleet:
        block = fleet.send(Schedule(starts=starts), lambda _: None, watch_every_s=SECONDS)
    return measured.generator([block], wanted.load)


def main() -> None:
    """Print a table."""
    print(
        f"{'protocol':<10}{'rps':>6}{'processes':>11}{'lag p99 ms':>12}{'CPU of a core':>15}{'delivered':>11}"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        inference_server({"hosts": {"candidate.test": {}}, "grpc": True}) as ports,
    ):
        data = golden(Path(folder))
        for protocol in ("http", "grpc"):
            for rate, processes in ((50, 1), (200, 1), (500, 1), (500, 2)):
                fit = run(protocol, rate, processes, ports[protocol], data)
                row = f"{protocol:<10}{rate:>6}{processes:>11}{fit.lag_p99_ms:>12.2f}{fit.cpu_share:>15.0%}"
                print(f"{row}{fit.delivered_ratio:>11.1%}", flush=True)


if __name__ == "__main__":
    main()
