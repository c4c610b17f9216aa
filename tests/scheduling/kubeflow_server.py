"""A Kubeflow Pipelines API as far as the SDK asks for it: REST v2beta1, kept in memory."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
ROOT = "/apis/v2beta1/"


class Store:
    """What was created, by collection; and what a test wants to go wrong."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Json]] = {}
        self.calls: list[str] = []
        self.fail: dict[str, tuple[int, str]] = {}  # "POST recurringruns" -> status, message
        self.tokens: list[str] = []
        self.url = ""

    def add(self, collection: str, item: Json) -> Json:
        """With an id of its own, under the name that the API gives it."""
        singular = {
            "pipelines": "pipeline", "versions": "pipeline_version", "experiments": "experiment",
            "runs": "run", "recurringruns": "recurring_run",
        }[collection]  # fmt: skip
        number = sum(map(len, self.kept.values())) + 1
        made = item | {f"{singular}_id": f"{singular}-{number}"}
        self.kept.setdefault(collection, []).append(made)
        return made


class Handler(BaseHTTPRequestHandler):
    """One request."""

    store: Store

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix(ROOT)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.store.calls.append(f"{method} {path}")
        self.store.tokens.append(self.headers.get("Authorization") or "")
        code, body = self.store.fail.get(f"{method} {path}") or self._do(method, path, query, raw)
        text = json.dumps({"message": body} if isinstance(body, str) else body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _do(self, method: str, path: str, query: Json, raw: bytes) -> tuple[int, Json | str]:
        if path == "healthz":
            return 200, {"multi_user": False}
        if path == "pipelines/upload":
            return 200, self.store.add("pipelines", {"display_name": query["name"]})
        if path == "pipelines/upload_version":
            item = {"display_name": query["name"], "pipeline_id": query["pipelineid"]}
            return 200, self.store.add("versions", item)
        if found := re.fullmatch(r"recurringruns/([^:]+)(?::(\w+))?", path):
            return self._recurring(method, found[1], found[2])
        collection = path.rpartition("/")[2]
        if method == "GET":
            return 200, self._listed(collection, query)
        return self._created(collection, json.loads(raw))

    def _recurring(self, method: str, name: str, verb: str | None) -> tuple[int, Json | str]:
        kept = self.store.kept.get("recurringruns", [])
        one = next((r for r in kept if r["recurring_run_id"] == name), None)
        if one is None:
            return 404, f"recurring run {name} not found"
        if method == "DELETE":
            kept.remove(one)
        elif verb:
            one["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[verb]
        return 200, {}

    def _listed(self, collection: str, query: Json) -> Json:
        items = self.store.kept.get(collection, [])
        for one in json.loads(query.get("filter") or "{}").get("predicates", ()):
            wanted = one.get("stringValue", one.get("string_value"))
            items = [item for item in items if item[one["key"]] == wanted]
        begin = int(query.get("page_token") or 0)
        size = 1 if collection == "recurringruns" else 100  # several pages, to be read
        following = {"next_page_token": str(begin + size)} if len(items) > begin + size else {}
        name = {"versions": "pipeline_versions", "recurringruns": "recurringRuns"}.get(collection)
        return {name or collection: items[begin : begin + size], **following}

    def _created(self, collection: str, body: Json) -> tuple[int, Json | str]:
        if collection == "recurringruns":
            cron = body["trigger"]["cron_schedule"]["cron"]
            if len(cron.split(" ")) != 6:
                return 400, f"Invalid cron schedule format {cron}"
            enabled = "ENABLED" if body.get("mode") == "ENABLE" else "DISABLED"
            body = body | {"status": enabled}
        return 200, self.store.add(collection, body)


@contextmanager
def kubeflow_server() -> Iterator[Store]:
    """On a free port of 127.0.0.1."""
    store = Store()
    handler = type("BoundHandler", (Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
