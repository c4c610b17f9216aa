"""Runs one cell in a world: incumbent, client, victim, rescue, checks, second release."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tests.chaos import checks
from tests.chaos.actors import Job, act
from tests.chaos.cells import Cell, Result
from tests.chaos.checks import Scene, require
from tests.chaos.client import Client
from tests.chaos.courses import CANDIDATE, INCUMBENT, NEXT, course
from tests.chaos.world import World
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.documents import Result as Ending

TRIES = 3
PROMOTE = course("promote")
NEIGHBOUR = "neighbour"


class MissedError(Exception):
    """The process ended before it came to the write at which it was to die."""


def fork_server() -> ForkServerContext:
    """Forks worlds and actors from one process that has imported everything and runs no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.actors", "tests.chaos.workers"])
    return context


class Stage:
    """A world in which one cell after another is run."""

    def __init__(self, world: World, context: ForkServerContext) -> None:
        self._world, self._context, self._count = world, context, 0
        os.environ.update(world.environment)
        template = self._job(
            self._folder("setup"), NEIGHBOUR, Cell(mode=world.mode, course=PROMOTE)
        )
        self._lives(
            replace(template, version=INCUMBENT, uri=world.uri(INCUMBENT, ""), release_id="n1")
        )

    def run(self, cell: Cell) -> Result:
        """The cell's result; a cell whose write was not met is tried again."""
        for tried in range(1, TRIES + 1):
            self._count += 1
            began, name = time.monotonic(), f"m{self._count}"
            folder = self._folder(name)
            run = Run(self._world, self._job(folder, name, cell), cell, self._end)
            try:
                run.go()
            except MissedError as missed:
                run.trouble = str(missed)
                if tried < TRIES:
                    continue
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this cell's result
                run.trouble = f"{type(error).__name__}: {error}"
            finally:
                run.close()
            took = time.monotonic() - began
            result = replace(run.result(), tries=tried, seconds=took)
            if not result.trouble:
                shutil.rmtree(folder)
            return result
        raise AssertionError("unreachable")

    def _folder(self, name: str) -> Path:
        folder = self._world.folder / "cells" / name
        folder.mkdir(parents=True)
        return folder

    def _job(self, folder: Path, name: str, cell: Cell) -> Job:
        world = self._world
        return Job(
            verb="release", folder=folder, environment=world.environment, name=name,
            release_id=f"{name}-r2", version=CANDIDATE, uri=world.uri(CANDIDATE, cell.course.fate),
            course=cell.course, mode=world.mode, patience=world.patience,
        )  # fmt: skip

    def _end(self, job: Job) -> int:
        """Run an actor to its end; the exit code, negative for a signal."""
        job.folder.mkdir(parents=True, exist_ok=True)
        process = self._context.Process(target=act, args=(job,))
        process.start()
        process.join(job.patience.actor_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"{job.verb} does not end; {_last_words(job)}")
        return process.exitcode

    def _lives(self, job: Job) -> None:
        code = self._end(job)
        require(code == 0, f"the setup ended with {code}; {_last_words(job)}")


class Run:
    """One try of one cell."""

    def __init__(self, world: World, job: Job, cell: Cell, end: Callable[[Job], int]) -> None:
        self._world, self._job, self._cell, self._end = world, job, cell, end
        self._client: Client | None = None
        self.trouble = ""
        self._rescue = replace(job, verb=cell.rescue, folder=job.folder / "rescue")

    def go(self) -> None:
        """Raises what is wrong."""
        first = self._cell.course.first
        incumbent = {} if first else self._serve_incumbent()
        with connect() as kube:
            scene = self._scene(kube, incumbent)
            self._client = self._start_client()
            self._victim()
            self._rescued()
            checks.check_rescued(scene)
            self._client.allowed.add(str(NEXT))
            checks.check_next(scene, self._second_release(), NEXT)
        self._client.stop()
        checks.check_client(self._client)

    def close(self) -> None:
        """Leave nothing behind in the world."""
        if self._client:
            self._client.stop()
        self._world.remove(self._job.name)

    def result(self) -> Result:
        """So far."""
        client = self._client
        return Result(
            cell=self._cell, seconds=0.0, trouble=self.trouble, folder=self._job.folder,
            writes=_lines(self._job.writes), rescue_writes=_lines(self._rescue.writes),
            requests=client.sent if client else 0,
            failed_requests=len(client.failures) if client else 0,
            slowest_s=client.slowest_s if client else 0.0,
        )  # fmt: skip

    # -- the scenes

    def _serve_incumbent(self) -> dict[str, object]:
        came = self._told(self._release(INCUMBENT, "r1"))
        require(came == Ending.PROMOTED.value, f"the incumbent's own release ended {came}")
        with connect() as kube:
            seen = self._scene(kube, {}).seen
        require(seen is not None, "the incumbent is not there")
        assert seen is not None
        return dict(seen.template)

    def _start_client(self) -> Client:
        """A first release has no production yet: there, a neighbour's client must notice nothing."""
        course = self._cell.course
        name = NEIGHBOUR if course.first else self._job.name
        allowed = {str(INCUMBENT)}
        if course.candidate_may_serve and not course.first:
            allowed.add(str(CANDIDATE))
        return Client(self._world.ingress.port, self._world.host(name), allowed)

    def _victim(self) -> None:
        death = self._cell.death
        self._dies(replace(self._job, kill=death.kill)) if death else self._live(self._job)

    def _rescued(self) -> None:
        if self._cell.death is None or self._cell.rescue == "nobody":
            return
        if self._cell.rescue != "guard":  # only guard has the dead release's own name
            self._world.let_leases_expire()
        if second := self._cell.second:
            folder = self._rescue.folder.with_name("killed-rescue")
            self._dies(replace(self._rescue, folder=folder, kill=second.kill))
        self._live(self._rescue)

    def _second_release(self) -> object:
        return self._told(self._release(NEXT, "r3"))

    def _told(self, job: Job) -> object:
        self._live(job)
        return json.loads(job.result.read_text())

    def _release(self, version: int, release_id: str) -> Job:
        """An undisturbed release of a good version."""
        job, uri = self._job, self._world.uri(version, "")
        return replace(
            job, verb="release", folder=job.folder / release_id, version=version, uri=uri,
            release_id=f"{job.name}-{release_id}", course=PROMOTE,
        )  # fmt: skip

    def _scene(self, kube: Kubernetes, template: dict[str, object]) -> Scene:
        job = self._job
        return Scene(
            world=self._world, kube=kube, name=job.name, release_id=job.release_id,
            course=job.course, template=template,
        )  # fmt: skip

    # -- lives and deaths

    def _live(self, job: Job) -> None:
        code = self._end(job)
        require(code == 0, f"{job.verb} of {job.release_id} ended with {code}; {_last_words(job)}")

    def _dies(self, job: Job) -> None:
        code = self._end(job)
        if code == 0:
            raise MissedError(f"{job.verb} ended without the write {job.kill}")
        require(
            code == -signal.SIGKILL, f"{job.verb} ended with {code} by itself; {_last_words(job)}"
        )


def _lines(file: Path) -> tuple[str, ...]:
    return tuple(file.read_text().splitlines()) if file.exists() else ()


def _last_words(job: Job) -> str:
    return "its last words: " + " | ".join(_lines(job.log)[-6:])
