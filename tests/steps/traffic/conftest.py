"""Makes the emulated cluster a fixture here."""

from traffic_cluster import cluster

__all__ = ["cluster"]
