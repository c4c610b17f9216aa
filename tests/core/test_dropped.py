"""What a policy no longer names goes, as far as its own releases wrote it, and nothing of anybody else."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.dropped import Dropped, dropped, without
from tidegate.core.isvc.typed import Json
from tidegate.core.manifest import difference, predictor
from tidegate.policy import Policy

PARTS: dict[str, Any] = {
    "placement": {
        "node_selector": {"pool": "gpu"}, "priority_class": "serving",
        "affinity": {"podAntiAffinity": {"preferred": []}},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "gpu": {"product": "A100"},
    "labels": {"team": "risk"},
    "args": ["--log-verbose=1"],
    "env": {"OMP_NUM_THREADS": "2"},
    "logger": {"url": "http://sink", "metadata_headers": ["x-id"]},
    "service_account": "reader",
    "storage_key": "minio",
    "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}},
    "scaling": {"kind": "kpa", "metric": "rps", "target": 5},
    "runtime_version": "25.06",
}  # fmt: skip
THEIRS: Json = {
    "nodeSelector": {"zone": "a"}, "labels": {"owner": "ops"}, "annotations": {"note": "mine"},
    "hostIPC": True, "model": {"resources": {"limits": {"example.com/fpga": "1"}}},
}  # fmt: skip


def written(parts: Mapping[str, Any], version: str) -> Json:
    """What a release of a policy with these parts sends."""
    asked = {"name": "m", "model": {"uri": f"models:/m/{version}"}, "serving": dict(parts)}
    return predictor(Policy.model_validate(asked), f"s3://m/{version}/", version).as_dict()


def merged(target: Json, patch: Json) -> Json:
    """RFC 7386."""
    result = copy.deepcopy(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            held = result.get(key)
            result[key] = merged(held if isinstance(held, dict) else {}, dict(value))
        else:
            result[key] = value
    return result


def leaves(item: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(item, Mapping) or not item:
        return {path: item} if path else {}
    return {k: v for key, inner in item.items() for k, v in leaves(inner, (*path, key)).items()}


SERVING = st.sets(st.sampled_from(sorted(PARTS))).map(lambda keys: {k: PARTS[k] for k in keys})


@settings(max_examples=200)
@given(before=SERVING, after=SERVING, theirs=st.sets(st.sampled_from(sorted(THEIRS))))
def test_after_a_release_there_is_what_it_names_and_what_others_wrote_and_a_return_is_exact(
    before: dict[str, Any], after: dict[str, Any], theirs: set[str]
) -> None:
    foreign = {key: THEIRS[key] for key in theirs}
    wrote, named = written(before, "1"), written(after, "2")
    served = merged(foreign, wrote)
    drops = list(dropped(wrote, named, served))
    staged = merged(served, without(named, drops, served))
    assert leaves(staged) == leaves(merged(foreign, named))
    assert merged(staged, difference(staged, served)) == served


def test_a_field_that_somebody_changed_since_stays() -> None:
    wrote, named = written(PARTS, "1"), written({}, "2")
    drops = list(dropped(wrote, named, wrote))
    edited = merged(wrote, {"nodeSelector": {"pool": "theirs"}, "logger": {"url": "http://other"}})
    patch = without(named, drops, edited)
    assert patch["nodeSelector"] == {"nvidia.com/gpu.product": None}
    assert "logger" not in patch
    assert patch["serviceAccountName"] is None


def test_an_object_without_open_keys_goes_as_one() -> None:
    wrote, named = written({"logger": PARTS["logger"]}, "1"), written({}, "2")
    held = merged(wrote, {"logger": {"mode": "all"}})  # as the webhook filled it in
    assert list(dropped(wrote, named, held)) == [
        Dropped(path=("logger",), value=held["logger"]),
    ]
    less = written({"logger": {"url": "http://sink"}}, "2")
    (one,) = dropped(wrote, less, held)
    assert str(one) == "spec.predictor.logger.metadataHeaders"


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_same_policy_drops_nothing(version: str) -> None:
    assert list(dropped(written(PARTS, "1"), written(PARTS, version), written(PARTS, "1"))) == []
