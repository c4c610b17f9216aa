"""A namespace on an API server: the emulated one, or whichever TIDEGATE_TEST_KUBECONFIG names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.sandbox.api.server import ApiServer

NAMED = "TIDEGATE_TEST_KUBECONFIG"


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace of its own, gone after the test. `url` only for the emulated server."""

    kube: Kubernetes
    namespace: str
    url: str = ""

    def needs(self, group: str, version: str) -> None:
        """Skip the test on a server that does not have this API."""
        if self.kube.find(f"/apis/{group}/{version}") is None:
            pytest.skip(
                f"the API server named by {NAMED} has no {group}/{version}; install its CRDs"
            )

    def needs_the_emulated_server(self) -> None:
        """Skip the test elsewhere: a wire that breaks speaks plain HTTP, and a pod's state is made up."""
        if not self.url:
            pytest.skip(f"only the emulated API server will do for this one; unset {NAMED}")


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    named = os.environ.get(NAMED, "")
    if named:
        monkeypatch.setenv("KUBECONFIG", str(Path(named).resolve()))
        with connect(retry_s=5) as kube, _namespace(kube) as name:
            yield Space(kube, name)
        return
    api = ApiServer(state_dir=tmp_path)
    api.start()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with connect(retry_s=5) as kube, _namespace(kube) as name:
        yield Space(kube, name, api.url)
    api.stop()


@contextmanager
def _namespace(kube: Kubernetes) -> Iterator[str]:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "tidegate-test-"}}
    name = kube.request("POST", "/api/v1/namespaces", body)["metadata"]["name"]
    try:
        yield name
    finally:
        kube.request("DELETE", f"/api/v1/namespaces/{name}")
