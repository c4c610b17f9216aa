"""What of a cluster a release relies on, judged from what was read of it. Pure.

Each judgement is one `Check`: what was found, and what to do about it. What could not be read is UNKNOWN,
which is never good: only WARN and OK let a release be expected to work.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from tidegate.core.manifest import TAG_ROUTING
from tidegate.core.standard_claim import ClusterSupport
from tidegate.documents import Strict

Json = Mapping[str, Any]
# Which podspec fields need a flag in Knative's config-features, all of them off as shipped.
# knative/serving config/core/configmaps/features.yaml
FLAGS: Mapping[str, str] = {
    "nodeSelector": "kubernetes.podspec-nodeselector",
    "tolerations": "kubernetes.podspec-tolerations",
    "affinity": "kubernetes.podspec-affinity",
    "topologySpreadConstraints": "kubernetes.podspec-topologyspreadconstraints",
    "runtimeClassName": "kubernetes.podspec-runtimeclassname",
    "schedulerName": "kubernetes.podspec-schedulername",
    "priorityClassName": "kubernetes.podspec-priorityclassname",
    "sidecar probe": "multi-container-probing",  # S:pkg/apis/serving/k8s_validation.go
}


class State(StrEnum):
    """How it stands with one thing that a release relies on."""

    OK = "OK"
    WARN = "WARN"
    UNKNOWN = "UNKNOWN"
    FAIL = "FAIL"


class Check(Strict):
    """One finding; `remedy` is empty when there is nothing to do."""

    name: str
    state: State
    found: str
    remedy: str = ""


def exit_code(checks: Iterable[Check]) -> int:
    """By the worst: 5 something is not as it must be, 75 something could not be asked, 0 otherwise."""
    states = {check.state for check in checks}
    if State.FAIL in states:
        return 5
    return 75 if State.UNKNOWN in states else 0


def ok(name: str, found: str) -> Check:
    """Nothing to do."""
    return Check(name=name, state=State.OK, found=found)


def fail(name: str, found: str, remedy: str) -> Check:
    """A release would fail."""
    return Check(name=name, state=State.FAIL, found=found, remedy=remedy)


def warn(name: str, found: str, remedy: str) -> Check:
    """A release works, and tells or does less."""
    return Check(name=name, state=State.WARN, found=found, remedy=remedy)


def unknown(name: str, found: str, remedy: str) -> Check:
    """It could not be asked."""
    return Check(name=name, state=State.UNKNOWN, found=found, remedy=remedy)


# -- what is installed


def crd(name: str, found: Json | None, version: str, *, owner: str) -> Check:
    """A custom resource definition is there and serves the version that is used."""
    title = f"CRD {name}"
    if found is None:
        return fail(title, "not installed", f"install {owner}")
    served = [one["name"] for one in found.get("spec", {}).get("versions", ()) if one.get("served")]
    if version not in served:
        shown = ", ".join(served) or "nothing"
        return fail(title, f"serves {shown}, not {version}", f"install a newer {owner}")
    return ok(title, f"serves {version}")


def kserve(found: tuple[int, int] | None) -> Check:
    """The controller's version, by its image. The modes' names are of 0.16."""
    title = "KServe's version"
    if found is None:
        remedy = "let the account read deployment kserve/kserve-controller-manager, or see to 0.16 or newer"
        return warn(title, "cannot be told from the controller's image", remedy)
    shown = f"{found[0]}.{found[1]}"
    if found < (0, 16):
        return fail(title, shown, "install KServe 0.16 or newer; it was read at 0.21")
    return ok(title, shown)


def knative(controller: Json | None) -> Check:
    """Request metrics per revision have their present names since 1.19.8 and 1.20.1."""
    title = "Knative's version"
    labels = (controller or {}).get("metadata", {}).get("labels") or {}
    text = str(labels.get("app.kubernetes.io/version", ""))
    version = tuple(int(part) for part in text.lstrip("v").split(".")[:3] if part.isdecimal())
    if len(version) < 3:
        remedy = (
            "let the account read deployment knative-serving/controller, or see to 1.20.1 or newer"
        )
        return warn(title, f"cannot be told ({text or 'no label'})", remedy)
    if version < (1, 19, 8) or version == (1, 20, 0):
        return fail(
            title,
            f"{text}: request metrics have other names than gates ask for",
            "install 1.20.1 or newer",
        )
    return ok(title, text)


# -- how it is set


def deployment_mode(config: Json | None, wanted: str) -> tuple[Check, str]:
    """The mode of new InferenceServices, and the mode that the other checks are for.

    `wanted` is the policy's: Knative, Standard or auto.
    """
    title = "deployment mode"
    default = _default_mode(config)
    mode = default if wanted in {"", "auto"} else wanted
    if not mode:
        return fail(
            title, "the cluster's default cannot be read",
            "say serving.mode in the policy, or let the account read kserve/inferenceservice-config",
        ), "Knative"  # fmt: skip
    if mode not in {"Knative", "Standard"}:
        return fail(
            title, f"{mode} is not released to", "say serving.mode: Knative or Standard"
        ), mode
    source = "the policy's" if mode == wanted else "the cluster's default"
    return ok(title, f"{mode}, {source}"), mode


def _default_mode(config: Json | None) -> str:
    try:
        deploy = json.loads((config or {}).get("data", {}).get("deploy", "{}"))
    except ValueError:
        return ""
    said = str(deploy.get("defaultDeploymentMode", "")) if isinstance(deploy, dict) else ""
    return {"Serverless": "Knative", "RawDeployment": "Standard"}.get(said, said)


def standard(support: ClusterSupport) -> list[Check]:
    """What a canary needs in Standard mode."""
    config = "in configmap kserve/inferenceservice-config set ingress.enableGatewayApi to true"
    return [
        _told("canaries in Standard mode", support.canary, "spec.canary in the CRD", "install KServe 0.21"),
        _told("KServe writes HTTPRoutes", support.gateway_api, "enableGatewayApi", config),
        _told("Gateway API", support.http_routes, "HTTPRoutes", "install the Gateway API's CRDs"),
    ]  # fmt: skip


def _told(title: str, found: bool | None, what: str, remedy: str) -> Check:
    if found is None:
        return unknown(title, f"{what} cannot be read", "let the account read it (deploy/base)")
    return ok(title, what) if found else fail(title, f"no {what}", remedy)


def request_metrics(observability: Json | None) -> Check:
    """Knative's queue-proxy counts requests for Prometheus only when told to."""
    said = (observability or {}).get("data", {}).get("request-metrics-protocol", "none")
    if said == "prometheus":
        return ok("request metrics", "queue-proxy serves them for Prometheus")
    patch = "kubectl -n knative-serving patch configmap config-observability --type merge -p"
    return fail(
        "request metrics", f"request-metrics-protocol is {said}",
        f"""{patch} '{{"data":{{"request-metrics-protocol":"prometheus"}}}}', then restart the predictors""",
    )  # fmt: skip


def features(config: Json | None, runtime: Json | None, predictor: Json | None = None) -> Check:
    """The podspec fields that the runtime and the policy's predictor use, each with a flag that Knative has
    off as shipped."""
    spec, asked = (runtime or {}).get("spec", {}), predictor or {}
    used = [field for field in FLAGS if spec.get(field) or asked.get(field)]
    if asked.get("containers") and any(c.get("readinessProbe") for c in spec.get("containers", ())):
        used.append("sidecar probe")
    data = (config or {}).get("data", {})
    off = [FLAGS[one] for one in used if str(data.get(FLAGS[one], "disabled")).lower() != "enabled"]
    if not off:
        found = ", ".join(used) or "none needed: the runtime places its pods by resources alone"
        return ok("feature flags", found)
    values = ",".join(f'"{flag}":"enabled"' for flag in off)
    patch = "kubectl -n knative-serving patch configmap config-features --type merge -p"
    return fail(
        "feature flags", f"off, and used by {_users(spec, asked)}: {', '.join(off)}",
        f"""{patch} '{{"data":{{{values}}}}}'""",
    )  # fmt: skip


def _users(spec: Json, asked: Json) -> str:
    named = any(asked.get(field) for field in (*FLAGS, "containers"))
    ours = any(spec.get(field) for field in FLAGS)
    return (
        "the policy"
        if named and not ours
        else "the runtime and the policy"
        if named
        else "the runtime"
    )


def tag_routing(services: Iterable[Json]) -> Check:
    """Without the annotation a candidate has no URL of its own; adding it makes one more revision."""
    lacking = [
        str(one["metadata"]["name"])
        for one in services
        if (one["metadata"].get("annotations") or {}).get(TAG_ROUTING) != "true"
    ]
    if not lacking:
        return ok("tag routing", "on, or set at the first release")
    return warn(
        "tag routing", f"off on {', '.join(lacking)}",
        f"nothing, or annotate {TAG_ROUTING}=true beforehand: a release that takes them over adds it, which "
        "makes one more revision",
    )  # fmt: skip


# -- capacity


def gpus(kind: str, nodes: Iterable[Json], wanted: int, *, has_baseline: bool = False) -> Check:
    """The nodes that take pods have this kind, enough for incumbent and candidate together, and for a
    dedicated baseline where the policy asks for one."""
    title = f"accelerators {kind}"
    usable = [one for one in nodes if _takes_pods(one)]
    amounts = [_amount(one, kind) for one in usable]
    if not any(amounts):
        kinds = {
            k for one in usable for k in one.get("status", {}).get("allocatable", {}) if "/" in k
        }
        others = ", ".join(sorted(k for k in kinds if not k.startswith("hugepages"))) or "none"
        return fail(
            title, f"no ready node offers it (kinds there: {others})",
            "ask for a kind that is there, or install the device plugin of this one",
        )  # fmt: skip
    total = sum(amounts)
    found = f"{total} on {sum(map(bool, amounts))} nodes"
    needed = (3 if has_baseline else 2) * wanted
    if total < needed:
        three = "incumbent, candidate and dedicated baseline"
        who = three if has_baseline else "incumbent and candidate"
        return warn(
            title, f"{found}; {who} together take {needed}",
            "add nodes, or release when others are idle: a candidate that finds no room is refused",
        )  # fmt: skip
    return ok(title, found)


def _takes_pods(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
    return ready and not node.get("spec", {}).get("unschedulable")


def _amount(node: Json, kind: str) -> int:
    text = str(node.get("status", {}).get("allocatable", {}).get(kind, "0"))
    return int(text) if text.isdecimal() else 0
