"""`make chaos`: runs the matrix, prints the table, keeps it in docs/reliability.md."""

import argparse
import os
import signal
import sys
import time

from tests.chaos.cells import Result
from tests.chaos.courses import COURSES, MODES
from tests.chaos.matrix import Matrix, Progress, Tally
from tests.chaos.reliability import Summary, named_table, table, write_block
from tests.chaos.workers import workers
from tidegate.errors import TidegateError

REAL_WORKERS = 2


def main() -> int:
    """0 when every cell is as it must be."""
    options = _options()
    if options.real:
        return _real(options.cell)
    if options.cell:
        return _one(options.cell)
    began, cpu_s, tallies = time.monotonic(), 0.0, list[Tally]()
    for mode in (mode for mode in MODES if options.mode in ("", mode)):
        with workers(options.workers, mode) as pool:
            matrix = Matrix(mode, pool, say, full=options.full, every=options.every)
            matrix.run([c for c in COURSES if options.course in ("", c.name)])
            cpu_s = pool.cpu_s()  # since the beginning: the fork server outlives its workers
        tallies += [tally for tally in matrix.tallies.values() if tally.cells]
    return _told(
        tallies,
        time.monotonic() - began,
        cpu_s,
        keep=not (options.course or options.mode or options.every > 1),
    )


def _told(tallies: list[Tally], seconds: float, cpu_s: float, *, keep: bool) -> int:
    summary = Summary.of(tallies)
    slowest = max(tally.slowest_s for tally in tallies)
    figures = (
        f"{summary}, the slowest answered in {slowest:.1f} s; {seconds / 60:.1f} minutes, "
        f"{cpu_s / 60:.1f} CPU minutes of {os.cpu_count()} cores."
    )
    lines = [*table(tallies), "", figures]
    say("\n".join(lines))
    if keep:
        write_block("chaos", lines)
    return 1 if summary.failed else 0


def _one(name: str) -> int:
    mode = next((mode for mode in MODES if name.startswith(f"{mode.lower()}/")), MODES[0])
    with workers(1, mode) as pool:
        result = Matrix(mode, pool, say).one(name)
    say(f"{result.cell.sentence}: {result.trouble or 'ok'}")
    return 1 if result.trouble else 0


def _real(only: str) -> int:
    """The named cells on real Tritons, or those with these numbers: `3,17`."""
    from tests.chaos.tritons import NAMED

    began, chosen = (
        time.monotonic(),
        [n for i, n in enumerate(NAMED, 1) if not only or str(i) in only.split(",")],
    )
    found = list[Result]()
    for mode in MODES:
        cells = [named.cell for named in chosen if named.cell.mode == mode]
        if cells:
            with workers(min(REAL_WORKERS, len(cells)), mode, "triton") as pool:
                found += Progress(say).over(pool, cells)
    results = [(n.sentence, r) for n in chosen for r in found if r.cell == n.cell]
    lines = named_table(results, time.monotonic() - began)
    say("\n".join(lines))
    failed = any(result.trouble for _, result in results)
    if not failed and not only:
        write_block("chaos-real", lines)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--cell", default="", help="this one alone, by the name a failure gave it")
    parser.add_argument("--mode", default="", choices=("", *MODES), help="this mode alone")
    parser.add_argument("--real", action="store_true", help="the named cells on real Tritons")
    parser.add_argument("--course", default="", help="this course alone")
    parser.add_argument("--workers", type=int, default=12, help="worlds at the same time")
    parser.add_argument("--full", action="store_true", help="every rescue for every death")
    parser.add_argument("--every", type=int, default=1, help="a sample: every n-th cell alone")
    return parser.parse_args()


def say(text: str) -> None:
    """Print now."""
    print(text, flush=True)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell had SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        code = main()
    except KeyboardInterrupt:
        say("interrupted; everything that was started is ended")
        code = 130
    except TidegateError as error:
        say(str(error))
        code = error.exit_code
    sys.exit(code)
