"""InferenceServices, their revisions and their events, in the Kubernetes API."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tidegate.adapters import standard
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.pods import Pods
from tidegate.core.diagnosis import Diagnosis, of_companion
from tidegate.core.observation import Observation, mode_of, modern, observe
from tidegate.core.standard_claim import ClusterSupport
from tidegate.core.standard_readiness import observe_standard
from tidegate.errors import RejectedError

Json = dict[str, Any]
DRY_RUN = {"dryRun": "All"}  # exercises the schema and KServe's webhook, not Knative's
REVISION_LABEL = "serving.knative.dev/revision"
APP_LABEL = "app"  # Standard mode: of a Deployment's pods (CONST:758-760)
LOST_RACE = "the object has been modified"


def pods_selector(mode: str, revision: str) -> str:
    """The labels of a revision's or a Deployment's pods."""
    return f"{APP_LABEL}=isvc.{revision}" if mode == "Standard" else f"{REVISION_LABEL}={revision}"


class InferenceServices:
    """One InferenceService, by name."""

    def __init__(self, kube: Kubernetes, namespace: str, name: str) -> None:
        self._kube, self._namespace, self._name = kube, namespace, name
        self._all = f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices"
        self._one = f"{self._all}/{name}"
        self._pods = Pods(kube, namespace)

    def look(self, *, known_warnings: frozenset[str] | None = None) -> Observation | None:
        """What is there now, with the revisions it speaks of; None when it does not exist.

        With `known_warnings` (of an earlier `warnings()`), also the Warning events that came since.
        """
        found = self._kube.find(self._one)
        if found is None:
            return None
        news = [] if known_warnings is None else self._news(known_warnings)
        if mode_of(found) == "Standard":
            seen, deployments = standard.observed(self._kube, found, news)
            return self._examined(seen, found, deployments, pods_selector("Standard", seen.created))
        revisions = [r for r in map(self._revision, _named(found)) if r]
        seen = observe(found, revisions, news)
        return self._examined(seen, found, revisions, pods_selector("Knative", seen.created))

    def create(self, manifest: Json) -> Observation:
        """Create it; what the API made of it. ConflictError when it exists."""
        return _written(self._kube.request("POST", self._all, manifest))

    def patch(self, patch: Json) -> Observation:
        """Merge-patch it; what the API made of it. ConflictError on another resourceVersion."""
        return _written(self._kube.request("PATCH", self._one, patch))

    def manifest(self) -> Json | None:
        """The object as the API has it; None when it does not exist."""
        return self._kube.find(self._one)

    def preview_create(self, manifest: Json) -> Json:
        """What `create` would make of it, by the API's own dry-run; nothing is written."""
        return self._kube.request("POST", self._all, manifest, query=DRY_RUN)

    def preview_patch(self, patch: Json) -> Json:
        """What `patch` would make of it, by the API's own dry-run; nothing is written."""
        return self._kube.request("PATCH", self._one, patch, query=DRY_RUN)

    def delete(self, uid: str) -> None:
        """Delete it if it is still the one with this uid; already gone is fine."""
        try:
            self._kube.request("DELETE", self._one, {"preconditions": {"uid": uid}})
        except RejectedError:
            if self._kube.find(self._one) is not None:
                raise

    def delete_revision(self, name: str) -> None:
        """Delete a Knative revision; already gone is fine."""
        try:
            self._kube.request("DELETE", self._path_of(name))
        except RejectedError:
            if self._revision(name) is not None:
                raise

    def nodes(self) -> list[Json]:
        """All nodes of the cluster. RejectedError where the account may not read them."""
        return list(self._kube.request("GET", "/api/v1/nodes")["items"])

    def pods_of_all(self) -> list[Json]:
        """All pods of the cluster that have not ended. RejectedError where the account may not read them."""
        running = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
        return list(self._kube.request("GET", "/api/v1/pods", query=running)["items"])

    def default_mode(self) -> str:
        """The mode of new InferenceServices; '' when the cluster does not let us read it."""
        try:
            found = self._kube.find(standard.CONFIG)
            deploy = json.loads((found or {}).get("data", {}).get("deploy", "{}"))
        except (RejectedError, ValueError):
            return ""
        return modern(str(deploy.get("defaultDeploymentMode", "")))

    def support(self) -> ClusterSupport:
        """What the cluster offers for a canary in Standard mode."""
        return standard.support(self._kube)

    def warnings(self) -> dict[str, str]:
        """KServe's InternalError events about it: an identity that changes when one repeats -> message.

        None where the Role does not allow events; KServe's lost races with itself are none.
        """
        path = f"/api/v1/namespaces/{self._namespace}/events"
        selector = f"involvedObject.name={self._name},type=Warning"
        try:
            items = self._kube.request("GET", path, query={"fieldSelector": selector})["items"]
        except RejectedError:
            return {}
        told = [item for item in items if item.get("reason") == "InternalError"]
        messages = {_identity(item): str(item.get("message", "")) for item in told}
        return {key: text for key, text in messages.items() if LOST_RACE not in text}

    def _news(self, known: frozenset[str]) -> list[str]:
        return [message for key, message in self.warnings().items() if key not in known]

    def _examined(
        self, seen: Observation, isvc: Json, owners: Sequence[Json], selector: str
    ) -> Observation:
        """With a diagnosis when something is not as it should be; no call is made when all is well."""
        seen = self._accompanied(seen, isvc)
        unready = bool(seen.created) and not seen.is_healthy(seen.created)
        if not (unready or seen.warnings or seen.is_refused):
            return seen
        mine = [one for one in owners if unready and one["metadata"]["name"] == seen.created]
        owner = mine[0] if mine else None
        look = self._pods.diagnosis(isvc, owner, selector=selector, warnings=seen.warnings)
        return replace(seen, diagnosis=look.found, unseen=look.unseen)

    def _accompanied(self, seen: Observation, isvc: Json) -> Observation:
        """With a diagnosis of the transformer and the explainer that are not ready.

        Not in Standard mode, where no release goes on beside one of its own (`core.standard_claim`).
        """
        if seen.mode == "Standard":
            return seen
        troubled: dict[str, Diagnosis] = {}
        for kind in seen.unready:
            owner = self._newest_of(kind, isvc)
            if owner is None:
                continue  # the condition has KServe's reason
            selector = pods_selector(seen.mode, owner["metadata"]["name"])
            if found := self._pods.diagnosis({}, owner, selector=selector).found:
                troubled[kind] = of_companion(found, kind)
        return replace(seen, troubled=troubled)

    def _newest_of(self, kind: str, isvc: Json) -> Json | None:
        """The newest Revision of a transformer or an explainer."""
        component = (isvc.get("status") or {}).get("components", {}).get(kind, {})
        name = component.get("latestCreatedRevision", "")
        return self._revision(name) if name else None

    def _revision(self, name: str) -> Json | None:
        return self._kube.find(self._path_of(name))

    def _path_of(self, revision: str) -> str:
        return f"/apis/serving.knative.dev/v1/namespaces/{self._namespace}/revisions/{revision}"


def _written(isvc: Json) -> Observation:
    """The answer to a write: the spec alone, what came of it is not there yet."""
    return observe_standard(isvc) if mode_of(isvc) == "Standard" else observe(isvc)


def _named(isvc: Json) -> list[str]:
    component = (isvc.get("status") or {}).get("components", {}).get("predictor", {})
    names = [component.get("latestCreatedRevision"), component.get("latestReadyRevision")]
    names += [entry.get("revisionName") for entry in component.get("traffic") or ()]
    return sorted({name for name in names if name})


def _identity(event: Json) -> str:
    return f"{event['metadata'].get('uid')}/{event.get('count', 1)}/{event.get('lastTimestamp')}"
