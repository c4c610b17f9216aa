"""May a release begin in Standard mode? (what is seen, what the cluster offers) -> why not, what to do. Pure.

Source lines are of KServe's `components/predictor.go` (PRED), `inference_service_validation.go` (VAL) and
`httproute_reconciler.go` (HR).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tidegate.core.decisions import Refuse
from tidegate.core.manifest import DEPLOYMENT_MODE
from tidegate.core.observation import Observation
from tidegate.core.standard_manifest import deployment_name
from tidegate.documents import Word
from tidegate.policy import Policy
from tidegate.policy.serving.modes import PASSED_BY

AUTOSCALER = "serving.kserve.io/autoscalerClass"
SPLITTING = (0, 21)  # the first KServe that writes a canary's weight into the routes
UNCOUNTED = {
    "keda": "KServe makes the canary a ScaledObject without triggers, which the API refuses, and then "
    "nothing of the service is reconciled",
    "external": "nobody would scale the canary",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSupport:
    """What the cluster offers; None where it does not let us read that."""

    canary: bool | None = None  # the InferenceService's schema has spec.canary
    gateway_api: bool | None = None  # inferenceservice-config: ingress.enableGatewayApi
    http_routes: bool | None = None  # the Gateway API's HTTPRoute is served
    kserve: tuple[int, int] | None = None  # major, minor


def standard_refusal(
    seen: Observation | None, policy: Policy, cluster: ClusterSupport
) -> Refuse | None:
    """Why there can be no canary here; None when there can."""
    reasons = [
        *_of_cluster(cluster),
        *_of_policy(policy),
        *(_of_object(seen, policy) if seen else ()),
    ]
    if not reasons:
        return None
    why = f"{policy.name} runs in Standard mode, and there can be no canary: {reasons[0]}"
    return Refuse(word=Word.INVALID, reason=why)


def untaken(policy: Policy) -> Refuse:
    """The API's dry-run of our first act came back without the entry: an older schema dropped it."""
    reason = (
        f"{policy.name} runs in Standard mode, and the API drops spec.canary: install KServe 0.21 or newer "
        "with its CRDs"
    )
    return Refuse(word=Word.INVALID, reason=reason)


def _of_cluster(cluster: ClusterSupport) -> Iterator[str]:
    if cluster.canary is False:
        yield "the InferenceService CRD has no spec.canary; install KServe 0.21 or newer with its CRDs"
    if cluster.kserve is not None and cluster.kserve < SPLITTING:
        version = ".".join(map(str, cluster.kserve))
        yield f"KServe {version} does not split traffic in this mode; install 0.21 or newer"
    if cluster.http_routes is False:
        yield (
            "the cluster has no HTTPRoute; install the Gateway API and a gateway, and set "
            "ingress.enableGatewayApi: true in inferenceservice-config"
        )
    if cluster.gateway_api is False:
        yield (
            "KServe writes an Ingress, which cannot split traffic; set ingress.enableGatewayApi: true in "
            "the ConfigMap kserve/inferenceservice-config"
        )
    if cluster.gateway_api is None and cluster.http_routes is None:
        yield (
            "neither the ConfigMap kserve/inferenceservice-config nor the Gateway API may be read; let the "
            "role get configmaps in kserve and httproutes"
        )


def _of_policy(policy: Policy) -> Iterator[str]:
    scaling = policy.serving.scaling
    if scaling and scaling.kind == "keda" and scaling.via == "auto_scaling":
        yield (
            f"serving.scaling.via is auto_scaling: {UNCOUNTED['keda']} (PRED:942-943); write via: "
            "scaled_object"
        )


def _of_object(seen: Observation, policy: Policy) -> Iterator[str]:
    stable = deployment_name(policy.name, str(seen.predictor.get("name", "")))
    checks: tuple[Callable[[Observation, str], str], ...] = (
        _annotated, _companions, _predictor, _autoscaler, _canary, _rolled_out,
    )  # fmt: skip
    return (why for check in checks if (why := check(seen, stable)))


def _annotated(seen: Observation, stable: str) -> str:
    """VAL:199-202: the recorded mode is not enough."""
    if seen.annotations.get(DEPLOYMENT_MODE) == "Standard":
        return ""
    return (
        f"the object lacks the annotation {DEPLOYMENT_MODE}: Standard, which KServe's webhook wants; add it "
        f"(it is copied to the pods, so {stable} rolls over once)"
    )


def _companions(seen: Observation, _: str) -> str:
    if not seen.companions:
        return ""
    kind = next(iter(seen.companions))
    instead = {
        "transformer": "run it beside the model in the predictor's pod",
        "explainer": "serve it as an InferenceService of its own",
    }
    return f"spec.{kind} is set, and {PASSED_BY[kind]}; {instead[kind]}, or use Knative mode under a new name"


def _predictor(seen: Observation, _: str) -> str:
    if seen.predictor.get("workerSpec"):
        return "spec.predictor.workerSpec is set, and a canary cannot span nodes (VAL:221)"
    if not seen.storage_uri:
        return "spec.predictor.model.storageUri is empty; name the model there"
    if seen.min_replicas < 1:
        return "spec.predictor.minReplicas is 0, and a canary may have no more pods than that; set 1 or more"
    return ""


def _autoscaler(seen: Observation, _: str) -> str:
    kind = seen.annotations.get(AUTOSCALER, "hpa")
    why = UNCOUNTED.get(kind, "")
    if not why or (kind == "external" and seen.min_replicas == 1):
        return ""
    return f"{AUTOSCALER} is {kind}: {why}; use hpa or none"


def _canary(seen: Observation, _: str) -> str:
    if not seen.canary:
        return ""
    named = ", ".join(f"{c.name} at {c.percent} %" for c in seen.canary)
    return f"spec.canary already names {named}; finish that rollout, or remove the entry"


def _rolled_out(seen: Observation, stable: str) -> str:
    held = seen.revisions.get(stable)
    if held is None or held.storage_uri == seen.storage_uri:
        return ""
    return (
        f"{stable} still serves {held.storage_uri} though the spec names {seen.storage_uri}; wait for "
        "that rollout"
    )
