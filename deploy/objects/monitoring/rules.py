"""The PrometheusRule that carries all rules."""

from deploy.objects.metadata import LABELS, Json
from deploy.objects.monitoring import alerts, recording
from deploy.objects.monitoring.monitors import GROUP


def rules() -> Json:
    """Recording rules first: the alerts ask for them."""
    spec = {"groups": [*recording.groups(), *alerts.groups()]}
    metadata = {"name": "tidegate", "labels": dict(LABELS)}
    return {"apiVersion": GROUP, "kind": "PrometheusRule", "metadata": metadata, "spec": spec}
