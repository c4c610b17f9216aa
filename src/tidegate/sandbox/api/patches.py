"""What each patch format makes of an object. Pure: values in, a new value out."""

import copy
from typing import Any

import jsonpatch

from tidegate.sandbox.api.errors import ApiError, bad_request
from tidegate.sandbox.api.kinds import Json

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def without_directives(patch: Any) -> Any:
    """A strategic patch as a merge patch: `$setElementOrder/…`, `$retainKeys` say nothing there.

    Lists are replaced whole; the emulation does not know merge keys.
    """
    if not isinstance(patch, dict):
        return patch
    return {k: without_directives(v) for k, v in patch.items() if not k.startswith("$")}


def operations(target: Json, patch: Any) -> Json:
    """RFC 6902; a failed `test` or a missing path is 422, a malformed document 400."""
    if not isinstance(patch, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        patched = jsonpatch.JsonPatch(patch).apply(target)
    except (jsonpatch.InvalidJsonPatch, KeyError, TypeError) as error:
        raise bad_request(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(422, "Invalid", message) from error
    if not isinstance(patched, dict):
        raise bad_request("the patch replaces the whole object by something that is no object")
    return patched


def owned(applied: Any) -> Json:
    """`fieldsV1` of an applied configuration: a tree of `f:` keys, lists as leaves."""
    if not isinstance(applied, dict):
        return {}
    return {f"f:{key}": owned(value) for key, value in applied.items()}


def _dropped(before: Json, after: Json) -> Json:
    """A merge patch that removes what a manager applied before and no longer applies."""
    removal: Json = {}
    for key, below in before.items():
        name = key.removeprefix("f:")
        if key not in after:
            removal[name] = None
        elif nested := _dropped(below, after[key]):
            removal[name] = nested
    return removal


def apply(target: Json, applied: Json, manager: str, time: str) -> Json:
    """Server-side apply, simplified: no conflicts between managers, lists are leaves."""
    fields = {k: v for k, v in applied.items() if k not in {"apiVersion", "kind"}}
    tree = owned(fields)
    managers = target.get("metadata", {}).get("managedFields", [])
    mine = next((m for m in managers if _is_mine(m, manager)), None)
    cleaned = merge(target, _dropped(mine["fieldsV1"], tree)) if mine else target
    result: Json = merge(cleaned, applied)
    if mine and mine["fieldsV1"] == tree:
        return result  # an apply that says the same again is no change
    entry = {"manager": manager, "operation": "Apply", "apiVersion": applied["apiVersion"]}
    entry |= {"time": time, "fieldsType": "FieldsV1", "fieldsV1": tree}
    others = [m for m in managers if not _is_mine(m, manager)]
    result["metadata"] = result["metadata"] | {"managedFields": [*others, entry]}
    return result


def _is_mine(entry: Json, manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply"
