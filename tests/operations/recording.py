"""A connection that remembers what was asked of the API."""

import json
from collections.abc import Mapping
from typing import Any

from tidegate.adapters.kubernetes import Kubernetes


class Recording(Kubernetes):
    """Every request, as (method, path, query)."""

    def __init__(self, kube: Kubernetes) -> None:
        super().__init__(kube._client, retry_s=2)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.phases: list[str] = []  # of every journal that it tried to write

    def once(
        self, method: str, path: str, body: Any, query: Mapping[str, str] | None
    ) -> dict[str, Any]:
        self.asked.append((method, path, dict(query or {})))
        if method == "PUT" and path.endswith("/tidegate-digits") and body["kind"] == "ConfigMap":
            self.phases.append(json.loads(body["data"]["journal.json"])["phase"])
        return super().once(method, path, body, query)

    @property
    def writes(self) -> list[str]:
        """What would have changed the cluster."""
        return [
            f"{method} {path}"
            for method, path, query in self.asked
            if method != "GET" and query.get("dryRun") != "All"
        ]
