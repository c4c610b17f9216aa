"""A release that runs beside the test, as another process would: with a connection of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.operations.recording import Recording
from tests.steps.traffic.test_promote import Evidence, Judge
from tests.steps.traffic.traffic_cluster import Cluster
from tidegate.adapters.kubernetes import connect
from tidegate.documents import Word

BOUND_S = 60


@dataclass
class Beside:
    """What became of it."""

    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: BaseException | None = None
    kube: Recording | None = None

    def ended(self) -> "Beside":
        assert self.done.wait(BOUND_S), "it goes on and on"
        return self


@contextmanager
def beside(cluster: Cluster, work: Callable[[Cluster], Any]) -> Iterator[Beside]:
    """Run `work` on a copy of the cluster's handle; it has ended when the block has."""
    held = Beside()

    def run() -> None:
        with connect(retry_s=2) as plain:
            held.kube = Recording(plain)
            try:
                held.result = work(Cluster(**{**vars(cluster), "kube": held.kube}))
            except BaseException as error:  # noqa: BLE001 - handed to the test
                held.error = error
        held.done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield held
    held.ended()
    thread.join(BOUND_S)


class Undecided(Judge):
    """Bakes on and on; says when it does so."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.baking, self.word = at, threading.Event(), Word.INCONCLUSIVE

    def __call__(self, *given: object, percent: int, since_s: float) -> Evidence:
        if percent != self.at:
            return Evidence(Word.PASS)
        self.baking.set()
        return Evidence(self.word)
