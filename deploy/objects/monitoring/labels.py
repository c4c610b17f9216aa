"""Which labels of a pod become labels of its series: what the presets of a policy select by.

`tests/deploy/test_monitors.py` asks a real Prometheus that the labels of every preset come of them.
"""

from tidegate.core.isvc.scraping import OF_KNATIVE, OF_KSERVE, OF_STANDARD

__all__ = ["OF_KNATIVE", "OF_KSERVE", "OF_STANDARD", "REVISION", "sanitised"]

# Knative's name of a revision that KServe asked for, as Kourier names Envoy's clusters.
REVISION = r"(.+)-predictor-\d{5}"


def sanitised(label: str) -> str:
    """The name that Prometheus' discovery gives to a Kubernetes label."""
    return "".join(letter if letter.isalnum() else "_" for letter in label)
