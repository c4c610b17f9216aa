"""A running API server for one test, and the objects that the tests put into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tidegate.sandbox.api.server import ApiServer

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
ISVCS = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MERGE = {"Content-Type": "application/merge-patch+json"}


class Api:
    """The server and an HTTP client on it."""

    def __init__(self, server: ApiServer, http: httpx.Client) -> None:
        self.server, self.http = server, http

    def post(self, path: str, body: Any, code: int = 201, **query: str) -> dict[str, Any]:
        return self.done(self.http.post(path, json=body, params=query), code)

    def put(self, path: str, body: Any, code: int = 200, **query: str) -> dict[str, Any]:
        return self.done(self.http.put(path, json=body, params=query), code)

    def merge(self, path: str, body: Any, code: int = 200, **query: str) -> dict[str, Any]:
        return self.done(self.http.patch(path, json=body, headers=MERGE, params=query), code)

    def get(self, path: str, code: int = 200, **query: str) -> dict[str, Any]:
        return self.done(self.http.get(path, params=query), code)

    def delete(self, path: str, body: Any = None, code: int = 200, **query: str) -> dict[str, Any]:
        return self.done(self.http.request("DELETE", path, json=body, params=query), code)

    def done(self, response: httpx.Response, code: int) -> dict[str, Any]:
        assert response.status_code == code, response.text
        body: dict[str, Any] = response.json()
        if code >= 400:
            assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", code)
        return body


@contextmanager
def running(**options: Any) -> Iterator[Api]:
    server = ApiServer(**options)
    server.start()
    try:
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            yield Api(server, http)
    finally:
        server.stop()


def configmap(name: str = "x", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def isvc(name: str = "digits", **predictor: Any) -> dict[str, Any]:
    model = {"modelFormat": {"name": "triton"}, "storageUri": "s3://models/1/"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": model, **predictor}},
    }
