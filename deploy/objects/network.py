"""Who may talk to whom: nobody calls a step; a predictor is reached through its gateway."""

from deploy.objects.metadata import PART_OF, Json, metadata

# By the name that Kubernetes itself puts on every namespace; those that a cluster lacks do nothing.
GATEWAYS = ("istio-system", "knative-serving", "kourier-system", "envoy-gateway-system", "kserve")
MONITORING = ("monitoring", "prometheus", "knative-monitoring")


def policies() -> list[Json]:
    """For the pods of the steps, and for the predictors beside them."""
    return [_steps(), _predictors()]


def _policy(name: str, spec: Json) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name),
        "spec": spec,
    }


def _steps() -> Json:
    """They serve nothing. Out: names, everything in the cluster, and HTTPS for the API and for storage."""
    return _policy(
        "tidegate-steps",
        {
            "podSelector": {"matchLabels": dict(PART_OF)},
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
