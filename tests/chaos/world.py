"""One cluster for many cells: the emulated API and controllers, the real Envoy, servers as given."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tests.chaos.courses import Mode, Patience
from tests.chaos.light_runtime import LightRuntime
from tidegate.core.first_release import preview_name
from tidegate.core.manifest import BASELINE_OF
from tidegate.sandbox.api.kinds import CONFIGMAPS, EVENTS, INFERENCESERVICES, LEASES
from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.controllers.loop import ControllerLoop
from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.interfaces import RevisionRuntime
from tidegate.sandbox.process import Spawner

NAMESPACE = "default"
CELLS_PER_SERVICE = 5  # then a new one: its old revisions are looked at by the controllers for ever
LONG_AGO = "2020-01-01T00:00:00.000000Z"


class Runtime(RevisionRuntime, Protocol):
    """What starts servers, and knows where they listen."""

    def endpoints(self, namespace: str, name: str) -> Sequence[Endpoint]:
        """Where its servers listen."""
        ...

    def close(self) -> None:
        """End all."""


class World:
    """Everything but the release."""

    def __init__(
        self, folder: Path, mode: Mode, runtime: Runtime, uri: Callable[[int, str], str],
        patience: Patience, spawner: Spawner, *, cells_per_service: int = 1,
    ) -> None:  # fmt: skip
        self.cells_per_service = cells_per_service
        self.folder, self.mode, self.uri, self.patience = folder, mode, uri, patience
        self.runtime = runtime
        self.ingress = EnvoyIngress(
            folder / "envoy", endpoints=runtime.endpoints, spawner=spawner, drain_s=0.5
        )
        self.api = ApiServer(state_dir=folder)
        self._loop = ControllerLoop(
            self.api.store, runtime, self.ingress, scale_down_grace_s=0.3, mode=mode
        )

    def start(self) -> None:
        """Up, with nothing deployed."""
        self.api.start()
        self.ingress.start()
        self._loop.start()

    def close(self) -> None:
        """Down, in the order in which one leans on the other."""
        self._loop.stop()
        self.runtime.close()
        self.ingress.close()
        self.api.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What a step is given."""
        return {
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "TIDEGATE_INGRESS_URL": self.ingress.url,
        }

    def host(self, name: str) -> str:
        """Where production of an InferenceService is reached."""
        return f"{name}.{NAMESPACE}.example.com"

    def let_leases_expire(self) -> None:
        """As if everybody had waited longer than a Lease lasts."""
        for lease in self.api.store.items(LEASES):
            if lease["spec"].get("holderIdentity"):
                name, aged = lease["metadata"]["name"], {**lease["spec"], "renewTime": LONG_AGO}
                self.api.store.edit(LEASES, NAMESPACE, name, partial(_with_spec, aged))

    def remove(self, name: str) -> None:
        """Forget an InferenceService, with its preview, its baselines, its journal and its Lease."""
        store = self.api.store
        for kind, named in (
            (INFERENCESERVICES, name), (INFERENCESERVICES, preview_name(name)),
            *((INFERENCESERVICES, one) for one in self.baselines(name)),
            (CONFIGMAPS, f"tidegate-{name}"), (LEASES, f"tidegate-{name}"),
        ):  # fmt: skip
            if store.find(kind, NAMESPACE, named):
                store.delete(kind, NAMESPACE, named)

    def forget_events(self) -> None:
        """As a cluster does after an hour: every look at a candidate reads them all."""
        for event in self.api.store.items(EVENTS):
            self.api.store.delete(EVENTS, NAMESPACE, event["metadata"]["name"])

    def exists(self, name: str) -> bool:
        """Whether there is an InferenceService of this name."""
        return self.api.store.find(INFERENCESERVICES, NAMESPACE, name) is not None

    def baselines(self, name: str) -> list[str]:
        """The dedicated baselines of an InferenceService, whoever made them."""
        items = (item["metadata"] for item in self.api.store.items(INFERENCESERVICES))
        return [one["name"] for one in items if (one.get("labels") or {}).get(BASELINE_OF) == name]

    def lease_holder(self, name: str) -> str:
        """Who keeps others from the Lease of an InferenceService; '' when it is free or has expired."""
        found = self.api.store.find(LEASES, NAMESPACE, f"tidegate-{name}")
        if found is None or found["spec"]["renewTime"] == LONG_AGO:
            return ""
        return str(found["spec"].get("holderIdentity") or "")


@contextmanager
def light_world(folder: Path, mode: Mode) -> Iterator[World]:
    """A world of light servers."""
    spawner, runtime = Spawner(), LightRuntime()
    world = World(
        folder, mode, runtime, light_uri, Patience(), spawner, cells_per_service=CELLS_PER_SERVICE
    )
    try:
        world.start()
        yield world
    finally:
        world.close()
        spawner.close()


def _with_spec(spec: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "spec": spec}


def light_uri(version: int, fate: str) -> str:
    """Where a model of the light servers would be stored."""
    return f"s3://models/shift/{version}{f'-{fate}' if fate else ''}/"
