"""Who may talk to whom: nobody calls a step; a predictor is reached through its gateway."""

from deploy.objects.metadata import SWEEP, Json, metadata

# By the name that Kubernetes itself puts on every namespace; those that a cluster lacks do nothing.
GATEWAYS = ("istio-system", "knative-serving", "kourier-system", "envoy-gateway-system", "kserve")
MONITORING = ("monitoring", "prometheus", "knative-monitoring")


def policies() -> list[Json]:
    """For the pods of our own, and for the predictors beside them."""
    return [_sweep(), _predictors()]


def _policy(name: str, spec: Json) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name),
        "spec": spec,
    }


def runs(label: str) -> Json:
    """The pods of an orchestrator's runs, by the label that it puts on all of them: nobody calls one.

    Out they may as before: runs that are not ours carry the label, too, and a trainer reaches what it likes.
    """
    exists = {"matchExpressions": [{"key": label, "operator": "Exists"}]}
    spec = {"podSelector": exists, "policyTypes": ["Ingress"], "ingress": []}
    return _policy("tidegate-runs", spec)


def _sweep() -> Json:
    """The sweep's pods. Out: names, all of the cluster, and HTTPS to wherever."""
    return _policy(
        "tidegate-sweep",
        {
            "podSelector": {"matchLabels": dict(SWEEP)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [
                {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
                {"to": [{"namespaceSelector": {}}]},
                {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]},
            ],
        },
    )


def _predictors() -> Json:
    """From gateways, Knative, monitoring and this very namespace; from nowhere else."""
    return _policy(
        "tidegate-predictors",
        {
            "podSelector": {
                "matchExpressions": [
                    {"key": "serving.kserve.io/inferenceservice", "operator": "Exists"}
                ]
            },
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": {}}]},
                {"from": [{"namespaceSelector": _named(*GATEWAYS, *MONITORING)}]},
            ],
        },
    )


def _named(*namespaces: str) -> Json:
    key = "kubernetes.io/metadata.name"
    return {"matchExpressions": [{"key": key, "operator": "In", "values": list(namespaces)}]}
