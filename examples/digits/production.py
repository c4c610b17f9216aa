"""Production traffic: steady requests through the ingress, each answer checked; no retries.

An answer is right when its label is the one that the version which answered gives to that golden row,
and when that version may serve production at all.
"""

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

RATE_RPS = 21.0


@dataclass
class Tally:
    """What happened to production."""

    sent: int = 0
    failed: int = 0
    wrong: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def complain(self, text: str) -> None:
        """Keep the first few reasons."""
        if len(self.complaints) < 20:
            self.complaints.append(text)

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        quantiles = np.percentile(self.latencies_ms or [0.0], [50, 95, 99])
        return {
            "sent": self.sent,
            "failed": self.failed,
            "wrong": self.wrong,
            "versions": dict(self.versions),
            "p50_ms": float(quantiles[0]),
            "p95_ms": float(quantiles[1]),
            "p99_ms": float(quantiles[2]),
            "complaints": self.complaints,
        }


async def ask(client: httpx.AsyncClient, golden: dict[str, Any], row: int, tally: Tally) -> None:
    """One request and the judgement of its answer."""
    inputs = [{"name": "X", "datatype": "FP32", "shape": [1, 64], "data": golden["inputs"][row]}]
    began = time.perf_counter()
    try:
        reply = await client.post("/v2/models/digits/infer", json={"inputs": inputs})
        reply.raise_for_status()
        answer = reply.json()
    except (httpx.HTTPError, ValueError) as error:
        tally.failed += 1
        tally.complain(f"row {row}: {type(error).__name__} {error}")
        return
    tally.latencies_ms.append((time.perf_counter() - began) * 1e3)
    tally.versions[answer["model_version"]] += 1
    judge(answer, golden, row, tally)


def judge(answer: dict[str, Any], golden: dict[str, Any], row: int, tally: Tally) -> None:
    """Count an answer that its own version would not give, or of a version not fit for production."""
    version = answer["model_version"]
    label = next(o["data"][0] for o in answer["outputs"] if o["name"] == "label")
    allowed = golden["labels"].get(version) if version in golden["allowed"] else None
    if allowed is None or label != allowed[row]:
        tally.wrong += 1
        tally.complain(f"row {row}: version {version} answered {label}")


async def drive(
    url: str, host: str, golden: dict[str, Any], tally: Tally, stop: asyncio.Event
) -> None:
    """Open loop: request i is sent at its own time, whatever happened to the ones before."""
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    async with httpx.AsyncClient(
        base_url=url, headers={"host": host}, timeout=5, limits=limits
    ) as client:
        began = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            row = tally.sent % len(golden["inputs"])
            task = asyncio.create_task(ask(client, golden, row, tally))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            tally.sent += 1
            await asyncio.sleep(max(0.0, began + tally.sent / RATE_RPS - time.monotonic()))
        await asyncio.gather(*tasks)


async def main(url: str, host: str, answers: Path, result: Path) -> None:
    """Run until SIGTERM or SIGINT, then write the tally."""
    golden = json.loads(answers.read_text(encoding="utf-8"))
    golden["allowed"] = ("1", "2")
    tally, stop = Tally(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await drive(url, host, golden, tally, stop)
    result.write_text(json.dumps(tally.summary()), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
