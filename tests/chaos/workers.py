"""Processes that each hold a world and run cells in it, one after another."""

import contextlib
import multiprocessing
import queue
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Literal

import psutil

from tests.chaos.cells import Cell, Result
from tests.chaos.courses import Mode
from tests.chaos.running import Stage, fork_server
from tests.chaos.world import World, light_world
from tidegate.errors import RejectedError

Servers = Literal["light", "triton"]

CELL_S = 400.0  # far beyond what any cell takes: every process in it has its own limit
CELLS_PER_WORLD = 60  # a world remembers every revision it ever had; a new one is quick


class Workers:
    """Cells go in, results come out in the order in which they are done."""

    def __init__(self, count: int, mode: Mode, folder: Path, servers: Servers) -> None:
        context = fork_server()
        self._tasks: Queue[Cell] = context.Queue()
        self._results: Queue[Result | str] = context.Queue()
        self._processes: list[BaseProcess] = [
            context.Process(
                target=_work,
                args=(mode, servers, folder / f"world-{number}", self._tasks, self._results),
            )
            for number in range(count)
        ]
        for process in self._processes:
            process.start()

    def run(
        self, cells: Sequence[Cell], waiting: Callable[[], None] = lambda: None
    ) -> Iterator[Result]:
        """Every result, as it comes; `waiting` is called every second in which none comes."""
        for cell in cells:
            self._tasks.put(cell)
        for _ in cells:
            yield self._next(waiting)

    def _next(self, waiting: Callable[[], None]) -> Result:
        deadline = time.monotonic() + CELL_S
        while True:
            with contextlib.suppress(queue.Empty):
                result = self._results.get(timeout=1)
                if isinstance(result, str):
                    raise RuntimeError(result)
                return result
            waiting()
            if not any(process.is_alive() for process in self._processes):
                raise RuntimeError("every worker has ended")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no cell was done for {CELL_S:g} s")

    def cpu_s(self) -> float:
        """Seconds that this process and all below it have used so far, ended ones included."""
        this = psutil.Process()
        return sum(_used(process) for process in [this, *this.children(recursive=True)])

    def close(self) -> None:
        """End all, whatever they do; a world ends its servers when it is told to, or dies with them."""
        self._tasks.cancel_join_thread()  # cells that nobody will take any more
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(15)
            process.kill()


def _work(
    mode: Mode, servers: Servers, folder: Path, tasks: "Queue[Cell]", results: "Queue[Result | str]"
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner, which ends us
    signal.signal(signal.SIGTERM, _leave)
    try:
        for number in range(10_000):
            with contextlib.suppress(RejectedError):  # another world was faster on a port
                _one_world(mode, servers, folder / str(number), tasks, results)
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - said to the runner, which ends
        results.put(f"a worker ended:\n{traceback.format_exc()}")


def _leave(_number: int, _frame: Any) -> None:
    raise SystemExit(0)


def _one_world(
    mode: Mode, servers: Servers, folder: Path, tasks: "Queue[Cell]", results: "Queue[Result | str]"
) -> None:
    folder.mkdir(parents=True)
    with _world(servers)(folder, mode) as world:
        stage = Stage(world, fork_server())
        for _ in range(CELLS_PER_WORLD):
            cell = _next_cell(tasks)
            result = stage.run(cell)
            results.put(result)
            if result.trouble:
                return  # what a failed cell has left behind is no cell's business


def _world(servers: Servers) -> Callable[[Path, Mode], AbstractContextManager[World]]:
    if servers == "light":
        return light_world
    from tests.chaos.tritons import triton_world

    return triton_world


def _used(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))  # user, system, and both of its ended children
    except psutil.NoSuchProcess:
        return 0.0


def _next_cell(tasks: "Queue[Cell]") -> Cell:
    """The next one; SystemExit when the runner has died."""
    runner = multiprocessing.parent_process()
    while runner is None or runner.is_alive():
        with contextlib.suppress(queue.Empty):
            return tasks.get(timeout=2)
    raise SystemExit(0)


@contextlib.contextmanager
def workers(count: int, mode: Mode, servers: Servers = "light") -> Iterator[Workers]:
    """Workers whose servers all end with the block; the folders of failed cells stay."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-chaos-"))
    held = Workers(count, mode, folder, servers)
    try:
        yield held
    finally:
        held.close()
