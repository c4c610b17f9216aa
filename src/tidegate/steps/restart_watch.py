"""Watches the candidate's containers during a promotion, and remembers what it saw of each traffic step."""

from typing import TYPE_CHECKING

from tidegate.core.restarts import Restarts, seen
from tidegate.documents import Deployment
from tidegate.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.core.answered import Restarted


class RestartWatch:
    """One for each promotion: a look at another traffic step begins to count anew."""

    def __init__(self, kube: "Kubernetes") -> None:
        self._kube = kube
        self._seen: Restarts | None = None

    def look(self, deployment: Deployment, *, since_s: float) -> "Restarted":
        """What is known since the step began; a Role without pods is said, not failed on."""
        from dataclasses import replace

        from tidegate.adapters.inference_service import pods_selector
        from tidegate.adapters.pods import Pods
        from tidegate.core.answered import Restarted

        if self._seen is None or self._seen.since_s != since_s:
            self._seen = Restarts(since_s=since_s)
        selector = pods_selector(deployment.mode, deployment.candidate_revision)
        try:
            pods = Pods(self._kube, deployment.namespace).of(selector)
            self._seen = seen(self._seen, pods)
        except (RejectedError, UnavailableError) as error:
            self._seen = replace(self._seen, unseen=str(error))
        return Restarted(restarts=self._seen)
