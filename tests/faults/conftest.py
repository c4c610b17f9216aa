"""The emulated cluster behind a wire that can break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.wire import Wire, between
from tests.steps.traffic.traffic_cluster import Cluster, cluster
from tidegate.sandbox.api.kubeconfig import write_kubeconfig

__all__ = ["cluster"]


@pytest.fixture
def wire(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """KUBECONFIG names the wire from here on; the cluster's own client goes past it."""
    with between(cluster.api.url) as held:
        path = write_kubeconfig(tmp_path / "wire", held.url)
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield held
