"""Deployments and Services of one InferenceService in Standard mode. Pure: values in, manifests out."""

from dataclasses import dataclass

from tidegate.sandbox.api.kinds import DEPLOYMENTS, SERVICES, Json
from tidegate.sandbox.controllers import components, pods, template
from tidegate.sandbox.controllers.canary import service_name
from tidegate.sandbox.controllers.objects import Wanted

APP = "app"
_DEADLINE_S = 600
HTTP_PORT, _CONTAINER = 80, 8080


def app_label(service: str) -> str:
    """The `app` label of a Deployment's pods (CONST:758-760)."""
    return f"isvc.{service}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pods:
    """What the pods of a Deployment are made of."""

    name: str
    part: Json  # the component's own section of the spec
    labels: dict[str, str]
    annotations: dict[str, str]
    containers: list[Json]


def deployment(isvc: Json, predictor: Json, runtime: Json, replicas: int) -> Wanted:
    """The Deployment of one predictor; its template is all that a rollout depends on."""
    made = _Pods(
        name=service_name(isvc["metadata"]["name"], predictor.get("name", "")), part=predictor,
        labels=template.component_labels(isvc, predictor),
        annotations=template.component_annotations(isvc, predictor, runtime),
        containers=template.containers(isvc, predictor, runtime),
    )  # fmt: skip
    return _deployment(isvc, made, replicas)


def component_deployment(isvc: Json, component: str, replicas: int) -> Wanted:
    """The Deployment of a transformer or an explainer (transformer.go:96-190, explainer.go:93-180).

    It is told to ask the Service of the stable predictor, whose name has `predictor.name` in it: no canary
    is behind that, and a promotion, which changes the name, makes the component's pods anew.
    """
    part, name = isvc["spec"][component], isvc["metadata"]["name"]
    asked = service_name(name, isvc["spec"]["predictor"].get("name", ""))
    made = _Pods(
        name=components.service_name(name, component), part=part,
        labels=template.component_labels(isvc, part, component),
        annotations=template.inherited(isvc, part),
        containers=components.containers(isvc, component, asked),
    )  # fmt: skip
    return _deployment(isvc, made, replicas)


def _deployment(isvc: Json, made: _Pods, replicas: int) -> Wanted:
    app = {APP: app_label(made.name)}
    pod: Json = {"containers": made.containers}
    if account := made.part.get("serviceAccountName"):
        pod["serviceAccountName"] = account
    labels = made.labels | app
    inner = {"metadata": {"labels": labels, "annotations": made.annotations}, "spec": pod}
    spec = _rollout(made.part) | {"replicas": replicas, "template": inner}
    return Wanted(
        kind=DEPLOYMENTS, namespace=isvc["metadata"]["namespace"], name=made.name, owner=isvc,
        spec=spec | {"selector": {"matchLabels": app}}, labels=labels, annotations=made.annotations,
    )  # fmt: skip


def _rollout(part: Json) -> Json:
    """KServe's defaults; only the strategy is the component's to choose."""
    share = {"maxSurge": "25%", "maxUnavailable": "25%"}
    usual = {"type": "RollingUpdate", "rollingUpdate": share}
    return {
        "strategy": part.get("deploymentStrategy") or usual,
        "progressDeadlineSeconds": _DEADLINE_S,
        "revisionHistoryLimit": 10,
    }


def service(isvc: Json, of: Wanted) -> Wanted:
    """The Service before a Deployment, of the same name and labels."""
    ports = [_port(of.name, of.spec["template"]["spec"]["containers"])]
    spec = {"type": "ClusterIP", "selector": {APP: app_label(of.name)}, "ports": ports}
    return Wanted(
        kind=SERVICES, namespace=of.namespace, name=of.name, owner=isvc, spec=spec,
        labels=of.labels, annotations=of.annotations,
    )  # fmt: skip


def _port(name: str, containers: list[Json]) -> Json:
    """The first port of the container that takes the requests (service_reconciler.go:104-160)."""
    first = next(iter(containers))
    entry = next((one for one in containers if one.get("name") == pods.TRANSFORMER), first)
    own: Json = next(iter(entry.get("ports") or []), {})
    return {
        "name": own.get("name", name), "port": HTTP_PORT,
        "targetPort": own.get("containerPort", _CONTAINER), "protocol": "TCP",
    }  # fmt: skip
