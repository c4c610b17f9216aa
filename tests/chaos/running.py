"""Runs one cell in a world: incumbent, client, victim, rescue, checks, second release."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, kw_only=True)
class Service:
    """An InferenceService that serves version `base` + INCUMBENT; `cells` have been run on it."""

    name: str
    base: int = 0
    cells: int = 0

    @property
    def is_new(self) -> bool:
        """Nothing serves yet."""
        return self.cells == 0

    @property
    def after(self) -> "Service":
        """What a cell that went well leaves: the version of its second release is the next incumbent."""
        return replace(self, base=self.base + NEXT - INCUMBENT, cells=self.cells + 1)


def fork_server() -> ForkServerContext:
    """Forks worlds and actors from one process that has imported everything and runs no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.warm"])
    return context


class Stage:
    """A world in which one cell after another is run."""

    def __init__(self, world: World, context: ForkServerContext) -> None:
        self._world, self._context, self._count = world, context, 0
        self._left: Service | None = None  # by the cell before
        os.environ.update(world.environment)
        neighbour, cell = Service(name=NEIGHBOUR), Cell(mode=world.mode, course=PROMOTE)
        template = self._job(self._folder("setup"), neighbour, cell)
        self._lives(
            replace(template, version=INCUMBENT, uri=world.uri(INCUMBENT, ""), release_id="n1")
        )

    def run(self, cell: Cell) -> Result:
        """The cell's result; a cell whose write was not met is tried again."""
        for tried in range(1, TRIES + 1):
            self._count += 1
            began, folder = time.monotonic(), self._folder(f"c{self._count}")
            service = self._service(cell)
            run = Run(self._world, self._job(folder, service, cell), cell, self._end)
            try:
                run.go(service)
                self._left = service.after
            except MissedError as missed:
                run.trouble = str(missed)
                if tried < TRIES:
                    continue
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this cell's result
                run.trouble = f"{type(error).__name__}: {error}"
            finally:
                run.close()
                self._tidy(service)
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

    def _service(self, cell: Cell) -> Service:
        """What the cell before left, or a new one; a first release needs a new one."""
        left, self._left = self._left, None
        if left and not cell.course.first and left.cells < self._world.cells_per_service:
            return left
        if left:
            self._world.remove(left.name)
        return Service(name=f"m{self._count}")

    def _tidy(self, service: Service) -> None:
        self._world.forget_events()
        if self._left is None:  # the cell failed, or was missed
            self._world.remove(service.name)

    def _job(self, folder: Path, service: Service, cell: Cell) -> Job:
        """What is to die. A roll-back goes to what the incumbent's release replaced."""
        world, back = self._world, cell.course.verb == "rollback"
        version = service.base + (INCUMBENT if back else CANDIDATE)
        return Job(
            verb=cell.course.verb, folder=folder, environment=world.environment, name=service.name,
            release_id=f"c{self._count}-r2", base=service.base, version=version,
            uri=world.uri(version, cell.course.fate), course=cell.course, mode=world.mode,
            patience=world.patience, alias=world.folder / f"alias-{service.name}",
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

    def go(self, service: Service) -> None:
        """Raises what is wrong."""
        course = self._cell.course
        if service.is_new and not course.first:
            self._serve(INCUMBENT)
        if course.verb == "rollback":
            self._serve(CANDIDATE)
        with connect() as kube:
            scene = self._scene(kube)
            self._client = self._start_client()
            self._dies_before()
            self._victim()
            self._rescued()
            checks.check_rescued(scene)
            self._client.allowed.add(str(service.base + NEXT))
            self._serve(NEXT)
            checks.check_next(scene, service.base + NEXT)
        self._client.stop()
        checks.check_client(self._client)

    def close(self) -> None:
        """No request is on its way any more."""
        if self._client:
            self._client.stop()

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

    def _serve(self, role: int) -> None:
        """An undisturbed release of a good version, all at once: its own course is not what is tried."""
        job, version = self._job, self._job.base + role
        course = replace(PROMOTE, initial=job.course.initial)
        release = replace(
            job, verb="release", folder=job.folder / f"r{role}", version=version, course=course,
            uri=self._world.uri(version, ""), release_id=f"{job.folder.name}-serve{role}",
            steps=(100,),
        )  # fmt: skip
        self._live(release)
        came = json.loads(release.result.read_text())
        require(came == Ending.PROMOTED.value, f"the release of version {role} ended {came}")

    def _start_client(self) -> Client:
        """A first release has no production yet: there, a neighbour's client must notice nothing."""
        job, course = self._job, self._cell.course
        if course.first:
            return Client(self._world.ingress.port, self._world.host(NEIGHBOUR), {str(INCUMBENT)})
        allowed = {str(job.base + INCUMBENT)}
        if course.candidate_may_serve:
            allowed.add(str(job.base + CANDIDATE))
        return Client(self._world.ingress.port, self._world.host(job.name), allowed)

    def _dies_before(self) -> None:
        """The release whose verb is to be killed has died itself, longer ago than a Lease lasts."""
        write = self._cell.course.death_before(self._world.mode)
        if write:
            job = self._job
            died = replace(
                job, verb="release", folder=job.folder / "died", kill=(write, 1, "after")
            )
            self._dies(died)
            self._world.let_leases_expire()

    def _victim(self) -> None:
        death = self._cell.death
        self._dies(replace(self._job, kill=death.kill)) if death else self._live(self._job)

    def _rescued(self) -> None:
        if self._cell.death is None or self._cell.rescue == "nobody":
            return
        if self._cell.rescue != "guard" or self._job.verb != "release":
            # guard of a dead release has its name, and so its Lease; others have to wait for it
            self._world.let_leases_expire()
        if second := self._cell.second:
            folder = self._rescue.folder.with_name("killed-rescue")
            self._dies(replace(self._rescue, folder=folder, kill=second.kill))
        self._live(self._rescue)

    def _scene(self, kube: Kubernetes) -> Scene:
        """As it is before anybody dies."""
        job, course = self._job, self._cell.course
        back = course.verb == "rollback"
        scene = Scene(
            world=self._world, kube=kube, job=job, cell=self._cell, template={},
            incumbent=job.base + (CANDIDATE if back else INCUMBENT),
        )  # fmt: skip
        seen = scene.seen
        require(course.first or seen is not None, "the incumbent is not there")
        return replace(scene, template=dict(seen.template)) if seen else scene

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
