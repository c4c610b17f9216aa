"""What a real API server does with objects: versions, conflicts, generations, refusals."""

from collections.abc import Iterator
from typing import Any

import pytest

from .running_api import CONFIGMAPS, ISVCS, LEASES, Api, configmap, isvc, running


@pytest.fixture(scope="module")
def shared() -> Iterator[Api]:
    with running() as started:
        yield started


@pytest.fixture
def api(shared: Api) -> Api:
    """The same server for all tests of this file, emptied of what they make."""
    for path in (CONFIGMAPS, ISVCS, LEASES):
        shared.delete(path)
    return shared


def test_a_created_object_gets_its_identity(api: Api) -> None:
    meta = api.post(ISVCS, isvc())["metadata"]
    assert (meta["generation"], meta["namespace"]) == (1, "default")
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")


def test_a_generated_name_starts_with_its_prefix(api: Api) -> None:
    body = configmap() | {"metadata": {"generateName": "run-"}}
    assert api.post(CONFIGMAPS, body)["metadata"]["name"].startswith("run-")


def test_a_second_creation_is_a_conflict(api: Api) -> None:
    api.post(CONFIGMAPS, configmap())
    refused = api.post(CONFIGMAPS, configmap(), 409)
    assert (refused["reason"], refused["message"]) == (
        "AlreadyExists",
        'configmaps "x" already exists',
    )


def test_an_absent_object_is_named_in_the_refusal(api: Api) -> None:
    refused = api.get(f"{ISVCS}/nope", 404)
    assert refused["message"] == 'inferenceservices.serving.kserve.io "nope" not found'
    assert refused["details"] == {
        "name": "nope",
        "group": "serving.kserve.io",
        "kind": "inferenceservices",
    }


def test_an_absent_namespace_is_refused_at_creation(api: Api) -> None:
    refused = api.post("/api/v1/namespaces/nope/configmaps", configmap(), 404)
    assert refused["message"] == 'namespaces "nope" not found'


def test_a_stale_put_is_a_conflict(api: Api) -> None:
    first = api.post(CONFIGMAPS, configmap(a="1"))
    api.put(f"{CONFIGMAPS}/x", first | {"data": {"a": "2"}})
    refused = api.put(f"{CONFIGMAPS}/x", first | {"data": {"a": "3"}}, 409)
    assert refused["reason"] == "Conflict"
    assert "the object has been modified" in refused["message"]
    assert api.get(f"{CONFIGMAPS}/x")["data"] == {"a": "2"}


def test_a_put_replaces_and_does_not_merge(api: Api) -> None:
    api.post(CONFIGMAPS, configmap(a="1", b="2"))
    assert api.put(f"{CONFIGMAPS}/x", configmap(c="3"))["data"] == {"c": "3"}


@pytest.mark.parametrize(("path", "body"), [(ISVCS, isvc()), (LEASES, {"metadata": {"name": "l"}})])
def test_an_unconditional_put_is_refused_where_the_real_server_does(
    api: Api, path: str, body: dict[str, Any]
) -> None:
    name = api.post(path, body)["metadata"]["name"]
    refused = api.put(f"{path}/{name}", body, 422)
    assert refused["details"]["causes"][0]["field"] == "metadata.resourceVersion"


def test_a_resource_version_in_a_merge_patch_is_a_lock(api: Api) -> None:
    version = api.post(ISVCS, isvc())["metadata"]["resourceVersion"]
    lock = {"metadata": {"resourceVersion": version}}
    api.merge(f"{ISVCS}/digits", lock | {"spec": {"predictor": {"canaryTrafficPercent": 0}}})
    refused = api.merge(
        f"{ISVCS}/digits", lock | {"spec": {"predictor": {"canaryTrafficPercent": 10}}}, 409
    )
    assert refused["reason"] == "Conflict"


def test_the_generation_counts_changes_of_the_spec_only(api: Api) -> None:
    api.post(ISVCS, isvc())
    labelled = api.merge(f"{ISVCS}/digits", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    status = api.merge(f"{ISVCS}/digits/status", {"status": {"url": "http://x"}})
    assert (status["metadata"]["generation"], status["status"]["url"]) == (1, "http://x")
    changed = api.merge(f"{ISVCS}/digits", {"spec": {"predictor": {"minReplicas": 2}}})
    assert changed["metadata"]["generation"] == 2


def test_a_change_that_changes_nothing_makes_no_version(api: Api) -> None:
    before = api.post(ISVCS, isvc())["metadata"]["resourceVersion"]
    after = api.merge(f"{ISVCS}/digits", {"spec": {"predictor": {"canaryTrafficPercent": None}}})
    assert after["metadata"]["resourceVersion"] == before


def test_the_object_and_its_status_are_written_apart(api: Api) -> None:
    created = api.post(ISVCS, isvc() | {"status": {"url": "http://forged"}})
    assert "status" not in created
    api.merge(f"{ISVCS}/digits/status", {"status": {"url": "u"}, "spec": {"predictor": None}})
    found = api.merge(f"{ISVCS}/digits", {"status": {"url": "http://forged"}})
    assert found["status"] == {"url": "u"}
    assert found["spec"]["predictor"]["model"]["storageUri"] == "s3://models/1/"


def test_a_dry_run_judges_and_stores_nothing(api: Api) -> None:
    api.post(ISVCS, isvc(), dryRun="All")
    api.get(f"{ISVCS}/digits", 404)
    api.post(ISVCS, isvc(minReplicas=3, maxReplicas=1), 403, dryRun="All")


def test_deletion_honours_its_preconditions(api: Api) -> None:
    uid = api.post(CONFIGMAPS, configmap())["metadata"]["uid"]
    api.delete(f"{CONFIGMAPS}/x", {"preconditions": {"uid": "other"}}, 409)
    api.delete(f"{CONFIGMAPS}/x", {"preconditions": {"resourceVersion": "1"}}, 409)
    api.delete(f"{CONFIGMAPS}/x", {"preconditions": {"uid": uid}})
    api.delete(f"{CONFIGMAPS}/x", code=404)


def test_what_an_object_owns_is_deleted_with_it(api: Api) -> None:
    owner = api.post(CONFIGMAPS, configmap("owner"))
    reference = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]
    }  # fmt: skip
    body = configmap("owned")
    body["metadata"]["ownerReferences"] = [reference]
    api.post(CONFIGMAPS, body)
    api.delete(f"{CONFIGMAPS}/owner")
    api.get(f"{CONFIGMAPS}/owned", 404)


def test_what_is_made_for_an_owner_that_is_gone_is_collected(api: Api) -> None:
    """A controller had read the owner before somebody deleted it: nobody else would ever remove it."""
    gone = api.post(CONFIGMAPS, configmap("owner"))["metadata"]["uid"]
    api.delete(f"{CONFIGMAPS}/owner")
    lost, held = configmap("lost"), configmap("held")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": gone}
    lost["metadata"]["ownerReferences"] = [reference]
    living = reference | {"uid": api.post(CONFIGMAPS, configmap("owner"))["metadata"]["uid"]}
    held["metadata"]["ownerReferences"] = [reference, living]
    assert api.post(CONFIGMAPS, lost)["metadata"]["name"] == "lost"
    api.post(CONFIGMAPS, held)
    api.get(f"{CONFIGMAPS}/lost", 404)
    api.get(f"{CONFIGMAPS}/held")


def test_an_owner_of_a_kind_that_is_not_served_is_taken_for_alive(api: Api) -> None:
    body = configmap()
    owner = {"apiVersion": "apps.example/v1", "kind": "Thing", "name": "owner", "uid": "no-such"}
    body["metadata"]["ownerReferences"] = [owner]
    api.post(CONFIGMAPS, body)
    api.get(f"{CONFIGMAPS}/x")


def test_a_finalizer_holds_an_object_until_it_is_removed(api: Api) -> None:
    body = configmap()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    api.post(CONFIGMAPS, body)
    api.delete(f"{CONFIGMAPS}/x")
    assert api.get(f"{CONFIGMAPS}/x")["metadata"]["deletionTimestamp"]
    api.merge(f"{CONFIGMAPS}/x", {"metadata": {"finalizers": None}})
    api.get(f"{CONFIGMAPS}/x", 404)


def test_a_deleted_namespace_takes_its_objects_along(api: Api) -> None:
    api.post("/api/v1/namespaces", {"metadata": {"name": "team"}})
    api.post("/api/v1/namespaces/team/configmaps", configmap())
    api.delete("/api/v1/namespaces/team")
    assert api.get("/api/v1/configmaps", fieldSelector="metadata.namespace=team")["items"] == []


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=a", ["one"]), ("app!=a", ["three", "two"]), ("app in (a, b)", ["one", "two"]),
        ("app notin (a)", ["three", "two"]), ("app", ["one", "two"]), ("!app", ["three"]),
        ("app=b,tier=x", ["two"]),
    ],
)  # fmt: skip
def test_lists_are_selected_by_label(api: Api, selector: str, names: list[str]) -> None:
    labels: dict[str, dict[str, str]] = {
        "one": {"app": "a"},
        "two": {"app": "b", "tier": "x"},
        "three": {},
    }
    for name, own in labels.items():
        body = configmap(name)
        body["metadata"]["labels"] = own
        api.post(CONFIGMAPS, body)
    found = api.get(CONFIGMAPS, labelSelector=selector)["items"]
    assert [item["metadata"]["name"] for item in found] == names


def test_lists_are_selected_by_name(api: Api) -> None:
    for name in ("one", "two"):
        api.post(CONFIGMAPS, configmap(name))
    found = api.get(CONFIGMAPS, fieldSelector="metadata.name=two")["items"]
    assert [item["metadata"]["name"] for item in found] == ["two"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (configmap() | {"data": {"a": 1}}, 400),
        (configmap("Not_A_Name"), 422),
        (configmap() | {"kind": "Secret"}, 400),
        ({"metadata": {"name": "x", "annotations": {"a": 1}}}, 400),
        ({"metadata": {}}, 422),
        ([], 400),
    ],
)
def test_a_body_that_go_would_not_read_is_refused(api: Api, body: Any, code: int) -> None:
    api.post(CONFIGMAPS, body, code)


def test_a_broken_body_is_a_bad_request(api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    response = api.http.post(CONFIGMAPS, content=b"{", headers=headers)
    assert response.status_code == 400
    assert response.json()["reason"] == "BadRequest"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/apis/nope/v1/things", 404), ("GET", "/nope", 404),
        ("GET", "/api/v1/namespaces/default/things", 404), ("POST", CONFIGMAPS + "/x", 405),
        ("PUT", CONFIGMAPS, 405), ("POST", "/api/v1/configmaps", 405),
        ("GET", CONFIGMAPS + "/x/status", 404),
    ],
)  # fmt: skip
def test_an_unknown_path_or_verb_is_a_status(api: Api, method: str, path: str, code: int) -> None:
    body = configmap() if method != "GET" else None
    api.done(api.http.request(method, path, json=body), code)


def test_protobuf_is_an_unsupported_media_type(api: Api) -> None:
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    api.done(api.http.post(CONFIGMAPS, content=b"k8s\x00", headers=headers), 415)
