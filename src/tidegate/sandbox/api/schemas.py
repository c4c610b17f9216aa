"""CRD schemas: what they refuse, what they do not know. Read from a folder of CRD files when given."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from tidegate.sandbox.api import errors, graph_schema
from tidegate.sandbox.api.kinds import ALL, INFERENCEGRAPHS, Json, Kind

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_GO_TYPES = {
    "str": "string",
    "dict": "object",
    "list": "array",
    "bool": "boolean",
    "NoneType": "null",
}


class Schemas:
    """Structural schemas by kind; a kind without one passes."""

    def __init__(self, schemas: Mapping[Kind, Json] | None = None) -> None:
        self._schemas = dict(schemas or {})
        self._validators = {
            kind: Draft202012Validator(_as_json_schema(schema))
            for kind, schema in self._schemas.items()
        }

    def check(self, kind: Kind, item: Json) -> None:
        """Raise 422 with every cause."""
        if validator := self._validators.get(kind):
            causes = [_cause(error) for error in validator.iter_errors(item)]
            if causes:
                raise errors.invalid(kind, item["metadata"].get("name", ""), causes)

    def prune(self, kind: Kind, item: Json) -> tuple[Json, list[str]]:
        """The object without the fields and nulls that the schema has no place for; their paths."""
        schema = self._schemas.get(kind)
        if schema is None:
            return item, []
        unknown: list[str] = []
        whole = {"apiVersion", "kind", "metadata"}
        body = {k: v for k, v in item.items() if k not in whole}
        pruned = _pruned(schema, body, "", unknown)
        return {k: item[k] for k in item if k in whole} | pruned, unknown


def load(folder: Path | None) -> Schemas:
    """The schemas of the kinds that we serve, from `*.yaml` CRD files, and our own of graphs."""
    found: dict[Kind, Json] = {INFERENCEGRAPHS: graph_schema.SCHEMA}
    for path in sorted(folder.glob("*.yaml")) if folder else []:
        found |= dict(_of_crd(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)))
    return Schemas(found)


def _of_crd(crd: Json) -> Iterator[tuple[Kind, Json]]:
    spec = crd["spec"]
    for version in spec["versions"]:
        address = (spec["group"], version["name"], spec["names"]["plural"])
        for kind in ALL:
            if (kind.group, kind.version, kind.plural) == address:
                yield kind, version["schema"]["openAPIV3Schema"]


def _as_json_schema(schema: Any) -> Any:
    """OpenAPI v3 as Kubernetes extends it, in JSON Schema's words."""
    if isinstance(schema, list):
        return [_as_json_schema(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    own = schema.keys() - {"format", "description", "properties"}
    result = {k: _as_json_schema(schema[k]) for k in own}
    if schema.get("nullable") is True and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    if "properties" in schema:  # property names are no keywords: `format` may be one
        result["properties"] = {k: _as_json_schema(v) for k, v in schema["properties"].items()}
    return result


def _cause(error: ValidationError) -> errors.Cause:
    said: Any = error.validator_value
    found: Any = error.instance
    path = ".".join(str(part) for part in error.absolute_path) or "<nil>"
    if error.validator == "required":
        missing = next(n for n in said if n not in found)
        where = missing if path == "<nil>" else f"{path}.{missing}"
        return errors.Cause(where, "Required value", "FieldValueRequired")
    if error.validator == "enum":
        allowed = ", ".join(f'"{value}"' for value in said)
        text = f'Unsupported value: "{error.instance}": supported values: {allowed}'
        return errors.Cause(path, text, "FieldValueNotSupported")
    if error.validator == "type":
        got = _GO_TYPES.get(type(error.instance).__name__, "number")
        text = f'Invalid value: "{got}": {path} in body must be of type {said}: "{got}"'
        return errors.Cause(path, text, "FieldValueTypeInvalid")
    return errors.Cause(path, f"Invalid value: {error.instance!r}: {error.message}")


def _pruned(schema: Json, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, list):
        inner = schema.get("items") or {}
        return [_pruned(inner, v, f"{path}[{i}]", unknown) for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept: Json = {}
    for key, below in value.items():
        where = f"{path}.{key}" if path else key
        inner = _schema_of(schema, key)
        if inner is None:
            unknown.append(where)
        elif below is not None or inner.get("nullable") or not inner:
            kept[key] = _pruned(inner, below, where, unknown) if inner else below
    return kept


def _schema_of(schema: Json, key: str) -> Json | None:
    """The schema of one property; empty when anything goes, None when it is unknown."""
    if key in (schema.get("properties") or {}):
        found: Json = schema["properties"][key]
        return found
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    return {} if schema.get(_PRESERVE) or extra is True or not schema else None
