"""ScaledObjects are what KEDA reads: a field or a type that is none of its is caught before it is applied."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tests.serving.test_manifest import KEDA, policy
from tidegate.core.isvc.extras import scaled_object
from tidegate.core.isvc.keda import ScaledObject
from tidegate.policy.serving import Keda

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/rendered.yaml"))


def read(item: dict[str, Any]) -> ScaledObject:
    """As KEDA's API reads it: no other field, no other type."""
    return ScaledObject.model_validate_json(json.dumps(item), strict=True)


def made(name: str = "fraud-blue-predictor", **scaling: Any) -> dict[str, Any]:
    asked = policy({"mode": "Standard", "max_replicas": 4, "scaling": KEDA | scaling})
    assert isinstance(asked.serving.scaling, Keda)
    return scaled_object(asked, asked.serving.scaling, name)


def test_every_example_with_keda_is_read_by_it_whole() -> None:
    rendered = [one for path in EXAMPLES for one in yaml.safe_load_all(path.read_text()) if one]
    found = [one for one in rendered if one["kind"] == "ScaledObject"]
    assert len(found) >= 4
    assert [read(one).as_dict() for one in found] == found


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "spec.minReplicas": lambda o: o["spec"].update(minReplicas=1),
    "spec.pollingInterval": lambda o: o["spec"].update(pollingInterval="15"),
    "spec.cooldownPeriod": lambda o: o["spec"].update(cooldownPeriod=-1),
    "spec.maxReplicaCount": lambda o: o["spec"].update(maxReplicaCount=0),
    "spec.triggers": lambda o: o["spec"].update(triggers=[]),
    "spec.triggers.0.metadata.threshold": lambda o: o["spec"]["triggers"][0]["metadata"].update(
        threshold=20
    ),
    "spec.triggers.0.metadata.serverAddress": lambda o: o["spec"]["triggers"][0]["metadata"].pop(
        "serverAddress"
    ),
    "spec.triggers.0.metricType": lambda o: o["spec"]["triggers"][0].update(metricType="Average"),
    "spec.triggers.0.authenticationRef.name": lambda o: o["spec"]["triggers"][0].update(
        authenticationRef={}
    ),
    "spec.scaleTargetRef.name": lambda o: o["spec"]["scaleTargetRef"].pop("name"),
    "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds": (
        lambda o: o["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        .update(stabilizationWindowSeconds=7200)
    ),
    "metadata.name": lambda o: o["metadata"].update(name="a" * 64),
    "apiVersion": lambda o: o.update(apiVersion="keda.sh/v1"),
}  # fmt: skip


@pytest.mark.parametrize("field", BREAKS)
def test_a_wrong_field_type_or_bound_is_caught_by_its_name(field: str) -> None:
    item = made()
    BREAKS[field](item)
    with pytest.raises(ValidationError) as caught:
        read(item)
    assert [".".join(map(str, one["loc"])) for one in caught.value.errors()] == [field]


def test_the_bounds_are_the_policys_and_one_above_the_other_is_caught() -> None:
    item = made()
    assert (item["spec"]["minReplicaCount"], item["spec"]["maxReplicaCount"]) == (1, 4)
    item["spec"]["minReplicaCount"] = 5
    with pytest.raises(ValidationError, match="minReplicaCount 5 is above maxReplicaCount 4"):
        read(item)


@pytest.mark.parametrize(
    ("length", "named"), [(38, None), (39, f"keda-hpa-{'a' * 39}-green"), (46, f"keda-hpa-{'a' * 46}-green")]
)  # fmt: skip
def test_the_hpa_is_named_where_kedas_own_name_for_it_would_be_refused(
    length: int, named: str | None
) -> None:
    item = made(f"{'a' * length}-green-predictor")
    assert item["spec"]["advanced"]["horizontalPodAutoscalerConfig"].get("name") == named
    assert len(read(item).hpa) <= 63
    item["spec"]["advanced"]["horizontalPodAutoscalerConfig"].pop("name", None)
    if named:
        with pytest.raises(ValidationError, match="is longer than 63 characters"):
            read(item)


def test_a_window_that_the_hpa_would_refuse_is_refused_when_the_policy_is_read() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 3600"):
        made(cooldown_s=3601)
