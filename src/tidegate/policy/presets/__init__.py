"""What is known of each metric source, as data: metric names by version, labels, and queries."""

from collections.abc import Mapping
from difflib import get_close_matches

from tidegate.policy.presets import gpu, knative, mesh, triton
from tidegate.policy.presets.preset import Preset, Requests

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (*knative.PRESETS, *mesh.PRESETS, *triton.PRESETS, *gpu.PRESETS)
}
# Who counts requests when the policy leaves it to the cluster, by mode, newest first.
BY_MODE: Mapping[str, tuple[str, ...]] = {
    "Knative": ("knative", "knative-1.19", "knative-1.18"),
    "Standard": ("istio",),
}
KNOWN = frozenset[str]().union(*(preset.metrics for preset in PRESETS.values())) | {
    "up",
    "kube_pod_container_status_restarts_total",
}


def query_of(name: str) -> str:
    """The query that `preset/query` names. Raises ValueError with what there is."""
    source, _, query = name.partition("/")
    known = sorted(f"{p.name}/{q}" for p in PRESETS.values() for q in p.queries)
    if source in PRESETS and query in PRESETS[source].queries:
        return PRESETS[source].queries[query]
    near = get_close_matches(name, known, n=3) or known
    raise ValueError(f"no preset of this name; write one of {', '.join(near)}")


__all__ = ["BY_MODE", "KNOWN", "PRESETS", "Preset", "Requests", "query_of"]
