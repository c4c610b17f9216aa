"""Makes the emulated clusters fixtures here."""

from tests.steps.traffic.traffic_cluster import cluster, standard

__all__ = ["cluster", "standard"]
