"""The least OpenAPI that kubectl needs: that PATCH takes `fieldValidation`, for every kind. Pure."""

from tidegate.sandbox.api.kinds import ALL, Json, Kind

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
# A gnostic `Document` whose only field is `swagger: "2.0"`: an old kubectl finds no schema for
# any kind there, and skips its client-side validation.
V2_EMPTY_PROTOBUF = b"\x0a\x032.0"
V2: Json = {
    "swagger": "2.0", "info": {"title": "tidegate sandbox", "version": "v1"}, "paths": {},
    "definitions": {},
}  # fmt: skip
_QUERY = ("dryRun", "fieldManager", "fieldValidation", "force")


def index() -> Json:
    """`/openapi/v3`."""
    paths = sorted({_root(kind) for kind in ALL})
    return {"paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}?hash=1"} for p in paths}}


def document(path: str) -> Json | None:
    """`/openapi/v3/<api/v1 | apis/group/version>`; None when no such version is served."""
    kinds = [kind for kind in ALL if _root(kind) == path]
    if not kinds:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "tidegate sandbox", "version": "v1"},
        "paths": {_path(kind): _operations(kind) for kind in kinds},
        "components": {"schemas": {_schema_name(kind): _schema(kind) for kind in kinds}},
    }


def _root(kind: Kind) -> str:
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"


def _path(kind: Kind) -> str:
    scope = "namespaces/{namespace}/" if kind.namespaced else ""
    return f"/{_root(kind)}/{scope}{kind.plural}/{{name}}"


def _gvk(kind: Kind) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _operations(kind: Kind) -> Json:
    schema = {"type": "string", "uniqueItems": True}
    parameters = [{"name": name, "in": "query", "schema": schema} for name in _QUERY]
    media = {"schema": {"$ref": f"#/components/schemas/{_schema_name(kind)}"}}
    answer = {"200": {"description": "OK", "content": {"application/json": media}}}
    common: Json = {"x-kubernetes-group-version-kind": _gvk(kind), "responses": answer}
    return {
        "get": common | {"x-kubernetes-action": "get"},
        "patch": common | {"x-kubernetes-action": "patch", "parameters": parameters},
    }


def _schema_name(kind: Kind) -> str:
    return f"{kind.group or 'core'}.{kind.version}.{kind.kind}"


def _schema(kind: Kind) -> Json:
    return {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "x-kubernetes-group-version-kind": [_gvk(kind)],
    }
