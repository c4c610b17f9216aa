"""Makes the emulated cluster a fixture here."""

from tests.steps.traffic.traffic_cluster import cluster

__all__ = ["cluster"]
