"""`kubectl get` asks for a Table; this renders one from a kind's printer columns. Pure."""

import re
from datetime import UTC, datetime
from typing import Any

from tidegate.sandbox.api.kinds import Column, Json, Kind

_PICK = re.compile(r"^(\w+)\[(\w+)=([^\]]+)\]$")


def table(kind: Kind, items: list[Json], list_meta: Json, now: datetime, include: str) -> Json:
    """A `meta.k8s.io/v1` Table of the objects."""
    columns = [Column("Name", "metadata.name"), *kind.columns]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_meta,
        "columnDefinitions": [_definition(c) for c in (*columns, Column("Age", ""))],
        "rows": [
            {
                "cells": [*(_cell(item, column) for column in columns), age(item, now)],
                "object": _row_object(item, include),
            }
            for item in items
        ],
    }


def _definition(column: Column) -> Json:
    shape = "name" if column.name == "Name" else ""
    return {
        "name": column.name, "type": column.type, "format": shape,
        "description": column.name, "priority": 0,
    }  # fmt: skip


def _row_object(item: Json, include: str) -> Json | None:
    if include == "None":
        return None
    if include == "Object":
        return item
    meta = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return meta | {"metadata": item["metadata"]}


def value_at(item: Any, path: str) -> Any:
    """The value at a column's path; None where anything on the way is missing."""
    for part in path.split("."):
        if picked := _PICK.match(part):
            key, field, wanted = picked.groups()
            entries = item.get(key) or [] if isinstance(item, dict) else []
            item = next((e for e in entries if str(e.get(field)).lower() == wanted.lower()), None)
        else:
            item = item.get(part) if isinstance(item, dict) else None
    return item


def _cell(item: Json, column: Column) -> Any:
    found = value_at(item, column.path)
    return "" if found is None and column.type == "string" else found


def age(item: Json, now: datetime) -> str:
    """Like kubectl's own: 7s, 3m, 2h, 5d."""
    stamp = item["metadata"].get("creationTimestamp")
    if not stamp:
        return "<unknown>"
    seconds = int((now - datetime.fromisoformat(stamp).astimezone(UTC)).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
