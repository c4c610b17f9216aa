"""KServe's virtual service: one host for all components, `:explain` to the explainer, all else to the front.

The object is Istio's. It is written once all components are ready and then stays, whatever they become
(ING:436-500), so production keeps its routes while a later explainer does not start.
"""

from collections.abc import Mapping

from tidegate.sandbox.api.kinds import VIRTUALSERVICES, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import components, hosts
from tidegate.sandbox.controllers.hosts import VirtualHost
from tidegate.sandbox.controllers.ingress_table import IngressTable
from tidegate.sandbox.controllers.objects import Wanted

EXPLAIN = r"^/v1/models/[\w-]+:explain$"  # constants.go: ExplainPrefix
_GATEWAYS = [
    "knative-serving/knative-local-gateway",
    "mesh",
    "knative-serving/knative-ingress-gateway",
]
_LOCAL_GATEWAY = "knative-local-gateway.istio-system.svc.cluster.local"


def wanted(isvc: Json, domain: str) -> Wanted:
    """The object for the components that the spec has."""
    meta = isvc["metadata"]
    served = [
        hosts.inside(meta["name"], meta["namespace"]),
        hosts.host(meta["name"], meta["namespace"], domain),
    ]
    rules = [_rule(isvc, components.front(isvc), served)]
    if components.EXPLAINER in components.of(isvc):
        rules.insert(0, _rule(isvc, components.EXPLAINER, served, EXPLAIN))
    return Wanted(
        kind=VIRTUALSERVICES, namespace=meta["namespace"], name=meta["name"], owner=isvc,
        spec={"hosts": served, "gateways": _GATEWAYS, "http": rules},
        labels=dict(meta.get("labels") or {}),
    )  # fmt: skip


def _rule(isvc: Json, component: str, served: list[str], path: str = "") -> Json:
    meta = isvc["metadata"]
    uri = {"uri": {"regex": path}} if path else {}
    backend = hosts.inside(components.service_name(meta["name"], component), meta["namespace"])
    headers = {
        "Host": backend,
        "KServe-Isvc-Name": meta["name"],
        "KServe-Isvc-Namespace": meta["namespace"],
    }
    to = {"destination": {"host": _LOCAL_GATEWAY, "port": {"number": 80}}, "weight": 100}
    return {
        "match": [uri | {"authority": {"regex": _authority(host)}} for host in served],
        "route": [to],
        "headers": {"request": {"set": headers}},
    }


def _authority(host: str) -> str:
    """The host with any port or none (constants.go: HostRegExp)."""
    return "^" + host.replace(".", r"\.") + r"(?::\d{1,5})?$"


class VirtualServices:
    """The virtual services of InferenceServices -> their hosts at the ingress."""

    def __init__(self, store: Store, table: IngressTable) -> None:
        self._store, self._table = store, table

    def publish(self) -> None:
        """All of them; what others created leads nowhere."""
        found: dict[str, VirtualHost] = {}
        for item in self._store.items(VIRTUALSERVICES):
            owners = item["metadata"].get("ownerReferences") or []
            if any(owner["kind"] == "InferenceService" for owner in owners):
                found |= _hosts_of(item["spec"])
        self._table.put_virtual(found)


def _hosts_of(spec: Json) -> Mapping[str, VirtualHost]:
    """None of an object that somebody changed into something that KServe does not write."""
    try:
        *ruled, last = spec["http"]
        rules = tuple((rule["match"][0]["uri"]["regex"], _backend(rule)) for rule in ruled)
        return dict.fromkeys(spec["hosts"], VirtualHost(backend=_backend(last), rules=rules))
    except (KeyError, IndexError, TypeError, ValueError):
        return {}


def _backend(rule: Json) -> str:
    return str(rule["headers"]["request"]["set"]["Host"])
