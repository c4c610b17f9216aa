"""The four patch formats, over HTTP and as values."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate.sandbox.api.patches import merge

from .running_api import CONFIGMAPS, ISVCS, Api, configmap, isvc, running

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
KEYS = st.sampled_from("abc")
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3)
)


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {k: without_nulls(v) for k, v in value.items() if v is not None}


@given(VALUES, VALUES)
def test_merging_a_patch_twice_is_merging_it_once(target: Any, patch: Any) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


@given(VALUES, VALUES)
def test_merging_changes_neither_operand(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    merge(target, patch)
    assert (target, patch) == before


@given(VALUES)
def test_an_empty_patch_changes_no_object(target: Any) -> None:
    assert merge(target, {}) == (target if isinstance(target, dict) else {})


@given(VALUES, VALUES.filter(lambda value: not isinstance(value, dict)))
def test_a_patch_that_is_no_object_replaces(target: Any, patch: Any) -> None:
    assert merge(target, patch) == patch


@given(st.dictionaries(KEYS, VALUES))
def test_a_patch_of_nothing_yields_itself_without_nulls(patch: Any) -> None:
    assert merge({}, patch) == without_nulls(patch)


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ],
)
def test_the_examples_of_rfc_7386_hold(target: Any, patch: Any, expected: Any) -> None:
    assert merge(target, patch) == expected


@pytest.fixture(scope="module")
def shared() -> Iterator[Api]:
    with running() as started:
        yield started


@pytest.fixture
def api(shared: Api) -> Api:
    for path in (CONFIGMAPS, ISVCS):
        shared.delete(path)
    return shared


def patch(api: Api, path: str, body: Any, media: str, code: int = 200, **query: str) -> Any:
    content = yaml.safe_dump(body)
    response = api.http.patch(path, content=content, headers={"Content-Type": media}, params=query)
    if media.endswith("json"):
        response = api.http.patch(path, json=body, headers={"Content-Type": media}, params=query)
    return api.done(response, code)


def apply(api: Api, path: str, body: Any, manager: str, code: int = 200) -> Any:
    query = {"fieldManager": manager} if manager else {}
    return patch(api, path, body, "application/apply-patch+yaml", code, **query)


def test_a_null_in_a_merge_patch_removes_a_field(api: Api) -> None:
    api.post(ISVCS, isvc(canaryTrafficPercent=10))
    after = api.merge(f"{ISVCS}/digits", {"spec": {"predictor": {"canaryTrafficPercent": None}}})
    assert "canaryTrafficPercent" not in after["spec"]["predictor"]


def test_a_json_patch_tests_before_it_writes(api: Api) -> None:
    api.post(CONFIGMAPS, configmap(a="1"))
    media, path = "application/json-patch+json", f"{CONFIGMAPS}/x"
    guarded = [{"op": "test", "path": "/data/a", "value": "1"}]
    guarded += [{"op": "replace", "path": "/data/a", "value": "2"}]
    assert patch(api, path, guarded, media)["data"] == {"a": "2"}
    patch(api, path, guarded, media, 422)
    patch(api, path, [{"op": "remove", "path": "/data/zzz"}], media, 422)
    patch(api, path, [{"op": "dance", "path": "/data"}], media, 400)
    patch(api, path, {}, media, 400)


def test_a_strategic_patch_merges_built_in_kinds_and_is_refused_by_custom_ones(api: Api) -> None:
    media = "application/strategic-merge-patch+json"
    api.post(CONFIGMAPS, configmap(a="1"))
    body = {"data": {"b": "2"}, "$setElementOrder/x": []}
    assert patch(api, f"{CONFIGMAPS}/x", body, media)["data"] == {"a": "1", "b": "2"}
    api.post(ISVCS, isvc())
    refused = patch(api, f"{ISVCS}/digits", {}, media, 415)
    assert "application/merge-patch+json" in refused["message"]


def test_apply_creates_then_merges_and_records_its_manager(api: Api) -> None:
    path = f"{CONFIGMAPS}/x"
    created = apply(api, path, configmap(a="1", b="2"), "me", 201)
    assert created["metadata"]["managedFields"][0]["manager"] == "me"
    api.merge(path, {"data": {"c": "3"}})
    again = apply(api, path, configmap(a="9"), "me")
    assert again["data"] == {"a": "9", "c": "3"}  # b was mine and is gone, c was not


def test_applying_the_same_again_makes_no_version(api: Api) -> None:
    first = apply(api, f"{CONFIGMAPS}/x", configmap(a="1"), "me", 201)
    again = apply(api, f"{CONFIGMAPS}/x", configmap(a="1"), "me")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_apply_needs_a_field_manager(api: Api) -> None:
    apply(api, f"{CONFIGMAPS}/x", configmap(), "", 422)


def test_an_unknown_patch_format_is_refused(api: Api) -> None:
    api.post(CONFIGMAPS, configmap())
    patch(api, f"{CONFIGMAPS}/x", {}, "application/json", 415)
