"""Every scenario of the oracle, through the real HTTP API with the official client."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.sandbox.api.admission import Admission
from tidegate.sandbox.api.kinds import (
    CONFIGURATIONS,
    INFERENCESERVICES,
    KSERVICES,
    REVISIONS,
    ROUTES,
)  # fmt: skip
from tidegate.sandbox.api.schemas import load

from .emulated_cluster import Cluster, running

SHARED = os.environ.get("TIDEGATE_SHARED")
ORACLE = Path(SHARED or "unset") / "oracles" / "kserve_canary_scenarios.json"
SCENARIOS: dict[str, Any] = json.loads(ORACLE.read_text()) if ORACLE.is_file() else {}

pytestmark = pytest.mark.skipif(not SCENARIOS, reason="TIDEGATE_SHARED names no oracles")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running() as started:
        yield started


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_controllers_do_what_the_oracle_says(name: str, cluster: Cluster) -> None:
    for number, step in enumerate(SCENARIOS[name]):
        perform(cluster, step["op"], step["arg"], is_first=number == 0)
        assert seen(cluster) == step["expect"], f"{name}, step {number}: {step['op']} {step['arg']}"


def test_what_the_controllers_write_passes_the_schemas_of_kserve_and_knative() -> None:
    crds = Path(SHARED or "unset") / "data" / "crds"
    admission = Admission(load(crds))
    with running(crd_dir=crds) as strict:
        strict.promoted()
        assert strict.shares() == {2: 100}
        for kind in (INFERENCESERVICES, KSERVICES, CONFIGURATIONS, REVISIONS, ROUTES):
            for item in strict.api.store.items(kind):
                assert admission.unknown_fields(kind, item) == []
                admission.schemas.check(kind, item)


def perform(cluster: Cluster, operation: str, argument: Any, *, is_first: bool) -> None:
    if operation == "ready":
        cluster.ready(int(argument.removeprefix("r")))
    elif is_first:
        cluster.create(f"s3://models/{argument['uri']}/", argument.get("canary"))
    else:
        cluster.patch({"spec": {"predictor": body(argument)}})


def body(argument: dict[str, Any]) -> dict[str, Any]:
    predictor: dict[str, Any] = {}
    if "canary" in argument:
        predictor["canaryTrafficPercent"] = argument["canary"]
    if "uri" in argument:
        predictor["model"] = {"storageUri": f"s3://models/{argument['uri']}/"}
    return predictor


def seen(cluster: Cluster) -> dict[str, Any]:
    found = cluster.predictor()
    entries = [
        {
            "revisionName": short(entry["revisionName"]),
            "percent": entry["percent"],
            "latestRevision": entry["latestRevision"],
            "tag": entry.get("tag", ""),
        }
        for entry in found.get("traffic", [])
    ]
    names = (
        "latestCreatedRevision", "latestReadyRevision", "latestRolledoutRevision",
        "previousRolledoutRevision",
    )  # fmt: skip
    return {name: short(found.get(name, "")) for name in names} | {"traffic": entries}


def short(name: str) -> str:
    return f"r{name.rpartition('-')[2]}" if name else ""
