"""Which labels of a pod become labels of its series: what the presets of a policy select by.

`tests/deploy/test_monitors.py` asks a real Prometheus that the labels of every preset come of them.
"""

# Knative's own, on every pod of a revision (knative/serving pkg/reconciler/revision/resources/meta.go).
OF_KNATIVE = ("serving.knative.dev/revision", "serving.knative.dev/service")
# A Deployment's pods carry app=isvc.<Service> (kserve pkg/constants, GetRawServiceLabel).
OF_STANDARD = ("app",)
OF_KSERVE = ("serving.kserve.io/inferenceservice", "component")
# Knative's name of a revision that KServe asked for, as Kourier names Envoy's clusters.
REVISION = r"(.+)-predictor-\d{5}"


def sanitised(label: str) -> str:
    """The name that Prometheus' discovery gives to a Kubernetes label."""
    return "".join(letter if letter.isalnum() else "_" for letter in label)
