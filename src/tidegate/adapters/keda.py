"""KEDA's ScaledObjects of one namespace, in the Kubernetes API."""

from typing import Any

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.errors import RejectedError

Json = dict[str, Any]
GROUP = "/apis/keda.sh/v1alpha1"


class ScaledObjects:
    """By name."""

    def __init__(self, kube: Kubernetes, namespace: str) -> None:
        self._kube, self._all = kube, f"{GROUP}/namespaces/{namespace}/scaledobjects"

    def look(self, name: str) -> Json | None:
        """As it is there; None when it is not."""
        return self._kube.find(f"{self._all}/{name}")

    def create(self, wanted: Json) -> None:
        """Create it. ConflictError when it exists."""
        self._kube.request("POST", self._all, wanted)

    def delete(self, held: Json) -> None:
        """Delete this very one; already gone is fine. ConflictError when another has its name by now."""
        name, uid = held["metadata"]["name"], held["metadata"]["uid"]
        try:
            self._kube.request("DELETE", f"{self._all}/{name}", {"preconditions": {"uid": uid}})
        except RejectedError:
            if self.look(name) is not None:
                raise

    def is_installed(self) -> bool:
        """The API serves them; everybody may ask."""
        served = (self._kube.find(GROUP) or {}).get("resources", ())
        return any(one.get("name") == "scaledobjects" for one in served)
