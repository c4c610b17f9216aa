"""HTTP around the verbs: bodies read, formats negotiated, errors turned into Status objects."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tidegate.sandbox.api import discovery, errors, openapi, patches, rbac
from tidegate.sandbox.api.addresses import Address, parse
from tidegate.sandbox.api.kinds import PODS, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.api.tables import table
from tidegate.sandbox.api.verbs import Query, Verbs
from tidegate.sandbox.api.watches import Watch, stream

PodLogs = Callable[[str, str, str], str]  # (namespace, pod, container) -> its log; "" the server's
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_WATCH_S = 1800.0
_REVIEWS = "/apis/authorization.k8s.io/v1"


class Api:
    """The request handlers of one server."""

    def __init__(
        self, store: Store, verbs: Verbs, *, closing: Callable[[], bool], pod_logs: PodLogs | None,
        rules: rbac.Rules | None,
    ) -> None:  # fmt: skip
        self._store, self._verbs, self._rules = store, verbs, rules
        self._closing, self._pod_logs = closing, pod_logs

    async def resource(self, request: Request) -> Response:
        """Everything below `/api/v1/` and `/apis/<group>/<version>/`."""
        at = parse(request.url.path)
        query = Query(values=dict(request.query_params))
        self._authorize(request, at, query)
        if at.subresource and not _has_subresource(at):
            raise errors.no_such_path()
        match request.method:
            case "GET" | "HEAD":
                return self._read(request, at, query)
            case "POST":
                return self._answer(
                    201, at, query, self._verbs.create(at, query, await _body(request))
                )
            case "PUT" if at.name:
                return self._answer(
                    200, at, query, self._verbs.replace(at, query, await _body(request))
                )
            case "PATCH" if at.name:
                code, item = self._verbs.patch(at, query, await _body(request), _media(request))
                return self._answer(code, at, query, item)
            case "DELETE" if not at.subresource:
                verb = self._verbs.delete if at.name else self._verbs.delete_all
                return JSONResponse(verb(at, query, await _body(request)))
        raise errors.method_not_allowed()

    def _authorize(self, request: Request, at: Address, query: Query) -> None:
        if self._rules is not None:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            asked = rbac.asked_for(request.method, at, watch=query.flag("watch"))
            rbac.check(self._rules, token, asked, at)

    async def access_review(self, request: Request) -> Response:
        """`kubectl auth can-i`, for oneself or for `spec.user`; without rules everybody may do everything."""
        said = (
            {} if "protobuf" in _media(request) else await _body(request)
        )  # kubectl, where all may do all
        review: Json = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
        review |= said if isinstance(said, dict) else {}
        spec = review.get("spec") or {}
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        user = str(spec.get("user") or token)
        rules = self._rules if user else None
        allowed = rules is None or rbac.allowed(rules, user, spec.get("resourceAttributes") or {})
        status = {"allowed": allowed, "reason": "no RBAC here" if rules is None else ""}
        return JSONResponse({"metadata": {}, "spec": {}} | review | {"status": status}, 201)

    def _answer(self, code: int, at: Address, query: Query, item: Json) -> Response:
        warnings = self._verbs.warnings(at, query, item)
        response = JSONResponse(item, code)
        for text in warnings:
            response.headers.append("Warning", f'299 - "{text}"')
        return response

    def _read(self, request: Request, at: Address, query: Query) -> Response:
        if at.subresource == "log":
            return self._log(at, query)
        include = query.text("includeObject")
        if query.flag("watch") and not at.subresource:
            watch = self._watch(request, at, query)
            events = stream(self._store, watch, self._closing)
            return StreamingResponse(events, media_type="application/json")
        if at.name:
            item = self._verbs.get(at)
            as_table = _table(at, [item], {}, include)
            return JSONResponse(as_table if _wants_table(request) else item)
        found = self._verbs.collection(at, query)
        if _wants_table(request):
            return JSONResponse(_table(at, found["items"], found["metadata"], include))
        return JSONResponse(found)

    def _watch(self, request: Request, at: Address, query: Query) -> Watch:
        wants_table, include = _wants_table(request), query.text("includeObject")

        def render(item: Json) -> Json:
            return _table(at, [item], {}, include) if wants_table else item

        selected = query
        if at.name:  # the old form: watch one object by its own URL
            selected = Query(
                values=dict(query.values) | {"fieldSelector": f"metadata.name={at.name}"}
            )
        return Watch(
            address=at, matches=selected.matches, since=query.text("resourceVersion"),
            timeout_s=float(query.text("timeoutSeconds") or _WATCH_S),
            bookmarks=query.flag("allowWatchBookmarks"),
            initial_events=query.flag("sendInitialEvents"), render=render,
        )  # fmt: skip

    def _log(self, at: Address, query: Query) -> Response:
        self._verbs.get(at)  # 404 for an unknown pod
        if self._pod_logs is None:
            raise errors.bad_request(f'the log of pod "{at.name}" is not served here')
        text = self._pod_logs(at.namespace, at.name, query.text("container"))
        last = query.text("tailLines")
        lines = text.splitlines(keepends=True)
        first = max(0, len(lines) - int(last)) if last.isdigit() else 0
        return PlainTextResponse("".join(lines[first:]))


def _has_subresource(at: Address) -> bool:
    if at.subresource == "log":
        return at.kind == PODS
    return at.subresource == "status" and at.kind.has_status


def _wants_table(request: Request) -> bool:
    accept = request.headers.get("accept", "").replace(" ", "")
    return "as=Table" in accept and "g=meta.k8s.io" in accept


def _table(at: Address, items: list[Json], meta: Json, include: str) -> Json:
    return table(at.kind, items, meta, datetime.now(UTC), include)


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()


async def _body(request: Request) -> Any:
    """The decoded body, None when there is none; 400 when it is broken, 415 for protobuf and CBOR."""
    raw = await request.body()
    if not raw:
        return None
    media = _media(request)
    try:
        if media.endswith("yaml"):
            return yaml.safe_load(raw)
        if media.endswith("json") or not media:
            return json.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise errors.bad_request(f"the object provided is unrecognized: {error}") from error
    # `kubectl create configmap|namespace` speak protobuf; `kubectl apply -f` speaks JSON
    raise errors.unsupported_media(["application/json", "application/yaml", patches.MERGE_PATCH])


async def _discovery(request: Request) -> Response:
    path = request.url.path.strip("/")
    groups = [""] if path == "api" else list(discovery.groups())
    if "as=APIGroupDiscoveryList" in request.headers.get("accept", "") and ";v=v2;" in (
        request.headers["accept"].replace(",", ";") + ";"
    ):
        body = json.dumps(discovery.aggregated(groups))
        return Response(body, media_type=discovery.AGGREGATED)
    return JSONResponse(discovery.core_versions() if path == "api" else discovery.group_list())


async def _group(request: Request) -> Response:
    name = request.path_params["group"]
    if name not in discovery.groups():
        raise errors.no_such_path()
    return JSONResponse(discovery.group(name))


async def _resources(request: Request) -> Response:
    group, version = request.path_params.get("group", ""), request.path_params.get("version", "v1")
    found = discovery.resource_list(group, version)
    if not found["resources"]:
        raise errors.no_such_path()
    return JSONResponse(found)


async def _openapi_v2(request: Request) -> Response:
    if "protobuf" in request.headers.get("accept", ""):
        return Response(openapi.V2_EMPTY_PROTOBUF, media_type=openapi.V2_PROTOBUF)
    return JSONResponse(openapi.V2)


async def _openapi_v3(request: Request) -> Response:
    found = openapi.document(request.path_params["path"])
    if found is None:
        raise errors.no_such_path()
    return JSONResponse(found)


def _constant(value: Json | str) -> Callable[[Request], Awaitable[Response]]:
    async def handler(_request: Request) -> Response:
        return PlainTextResponse(value) if isinstance(value, str) else JSONResponse(value)

    return handler


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ApiError)
    return JSONResponse(error.body(), error.code)


async def _broken(_request: Request, error: Exception) -> Response:
    text = f"Internal error occurred: {type(error).__name__}: {error}"
    return JSONResponse(errors.ApiError(500, "InternalError", text).body(), 500)


async def _unknown(_request: Request) -> Response:
    raise errors.no_such_path()


def create_app(
    store: Store, verbs: Verbs, *, closing: Callable[[], bool], pod_logs: PodLogs | None,
    rules: rbac.Rules | None = None,
) -> Starlette:  # fmt: skip
    """The whole application."""
    api = Api(store, verbs, closing=closing, pod_logs=pod_logs, rules=rules)
    routes = [
        *(Route(f"/{path}", _constant("ok")) for path in ("readyz", "livez", "healthz")),
        Route("/version", _constant(discovery.VERSION)),
        Route("/openapi/v2", _openapi_v2),
        Route("/openapi/v3", _constant(openapi.index())),
        Route("/openapi/v3/{path:path}", _openapi_v3),
        Route("/api", _discovery),
        Route("/apis", _discovery),
        Route("/api/v1", _resources),
        Route("/apis/{group}", _group),
        Route("/apis/{group}/{version}", _resources),
        Route(f"{_REVIEWS}/selfsubjectaccessreviews", api.access_review, methods=["POST"]),
        Route(f"{_REVIEWS}/subjectaccessreviews", api.access_review, methods=["POST"]),
        Route("/api/v1/{path:path}", api.resource, methods=_METHODS),
        Route("/apis/{path:path}", api.resource, methods=_METHODS),
        Route("/{path:path}", _unknown, methods=_METHODS),
    ]
    return Starlette(
        routes=routes, exception_handlers={errors.ApiError: _refused, Exception: _broken}
    )
