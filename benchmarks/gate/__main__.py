"""`make bench-gate`: every cell, with its target; a cell that misses is printed as a miss.

RUNS= load tests a cell (300), ONLY=load-test or live for one table, WRITE=1 puts them into docs/gate.md.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from statistics import median

from benchmarks.gate.live import MOST_REQUESTS, stopped_after
from benchmarks.gate.load_test import (
    AT_LIMIT,
    AT_LIMIT_DRIFTING,
    AT_MARGIN,
    KINDS,
    SAME,
    SLOWER,
    SLOWER_SERVICE,
    Queue,
    words,
)

PAGE = Path(__file__).parents[2] / "docs" / "gate.md"
QUEUES = [Queue(utilisation=u, cv=cv) for u in (0.5, 0.7) for cv in (0.3, 1.0)]
JUDGES = ("tidegate", "fixed threshold", "Mann-Whitney", "Kayenta-style")
CHUNK = 50
Words = Counter[tuple[str, str]]


def targets(queue: Queue, kind: str) -> Iterator[tuple[str, str, float]]:
    """(word, how it is compared, share) that must hold of a cell."""
    if kind == SAME:
        yield "FAIL", "<=", 0.01
        if queue.utilisation == 0.5:
            yield "PASS", ">=", 0.95
    if kind in (SLOWER, SLOWER_SERVICE):
        yield "FAIL", ">=", 0.95
    if kind == AT_MARGIN:
        yield "PASS", "<=", 0.05
    if kind in (AT_LIMIT, AT_LIMIT_DRIFTING):
        yield "PASS", "<=", 0.10


def kept(queue: Queue, kind: str, said: Words, runs: int) -> list[str]:
    """Each target with whether our own judge keeps it."""
    found = []
    for word, comparison, share in targets(queue, kind):
        seen = said["tidegate", word] / runs
        good = seen <= share if comparison == "<=" else seen >= share
        found.append(f"{word} {comparison} {share:.0%}: {'ok' if good else '**MISS**'}")
    return found


def load_tests(runs: int) -> Iterator[str]:
    """The table of load tests, a row as soon as it is there."""
    yield "| utilisation | cv | the candidate is | target | " + " | ".join(JUDGES) + " |"
    yield "|---|---|---|---|" + "---|" * len(JUDGES)
    cells = [(queue, kind) for queue in QUEUES for kind in KINDS]
    with Pool(len(os.sched_getaffinity(0))) as pool:
        pending = [(c, pool.starmap_async(words, _chunks(*c, runs), chunksize=1)) for c in cells]
        for (queue, kind), result in pending:
            said: Words = sum(result.get(), Counter())
            shown = " | ".join(_share(said, judge, runs) for judge in JUDGES)
            wanted = ", ".join(kept(queue, kind, said, runs))
            yield f"| {queue.utilisation:g} | {queue.cv:g} | {kind} | {wanted} | {shown} |"


def _chunks(queue: Queue, kind: str, runs: int) -> list[tuple[Queue, str, range]]:
    return [(queue, kind, range(n, min(n + CHUNK, runs))) for n in range(0, runs, CHUNK)]


def _share(said: Words, judge: str, runs: int) -> str:
    known = {word: said[judge, word] for word in ("PASS", "FAIL", "INCONCLUSIVE")}
    if not any(known.values()):
        return "-"
    return ", ".join(f"{word} {count / runs:.1%}" for word, count in known.items() if count)


def live_steps(runs: int) -> Iterator[str]:
    """The table of live errors."""
    yield "| the candidate's errors | stopped | median canary requests | target |"
    yield "|---|---|---|---|"
    with Pool(len(os.sched_getaffinity(0))) as pool:
        for times in (1.0, 3.0, 5.0, 10.0):
            chunks = [(times, r) for _, _, r in _chunks(QUEUES[0], "", runs)]
            found = [n for part in pool.starmap(stopped_after, chunks) for n in part]
            stopped = sum(n is not None for n in found) / runs
            middle = median(MOST_REQUESTS + 1 if n is None else n for n in found)
            shown = f"{middle:.0f}" if middle <= MOST_REQUESTS else f"> {MOST_REQUESTS}"
            wanted = {
                1.0: f"stopped <= 1 %: {'ok' if stopped <= 0.01 else '**MISS**'}",
                5.0: f"median <= 1,000: {'ok' if middle <= 1000 else '**MISS**'}",
            }.get(times, "")
            yield f"| {times:g}x the incumbent's | {stopped:.1%} | {shown} | {wanted} |"


def main() -> None:
    """Print both tables, and write each into its place in the page when asked."""
    runs = int(os.environ.get("RUNS", "300"))
    for name, table in (("load-test", load_tests), ("live", live_steps)):
        if os.environ.get("ONLY", name) == name:
            lines = _shown(table(runs), runs)
            if os.environ.get("WRITE"):
                _write(f"bench-gate-{name}", lines)


def _shown(table: Iterator[str], runs: int) -> list[str]:
    began, lines = time.monotonic(), []
    for line in table:
        lines.append(line)
        print(line, flush=True)
    took = f"`make bench-gate`: {runs} a row, {time.monotonic() - began:.0f} s on {os.cpu_count()} cores."
    print(f"\n{took}\n", flush=True)
    return [*lines, "", took]


def _write(block: str, lines: list[str]) -> None:
    begin, end = f"<!-- {block}: begin -->", f"<!-- {block}: end -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    body = "\n".join(lines)
    PAGE.write_text(f"{before}{begin}\n{body}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
