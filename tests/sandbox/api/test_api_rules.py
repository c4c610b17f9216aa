"""Who has rules is held to them, in a real server's words; whoever sends no token may do everything."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tidegate.sandbox.api.rbac import Rule

from .running_api import CONFIGMAPS, ISVCS, MERGE, Api, configmap, isvc, running

RULES = {
    "robot": [
        Rule(verb="get", group="", resource="configmaps", namespace="default", name="x"),
        Rule(verb="list", group="", resource="configmaps", namespace="default"),
        Rule(verb="patch", group="serving.kserve.io", resource="inferenceservices"),
    ]
}
ROBOT = {"Authorization": "Bearer robot"}


@pytest.fixture
def api() -> Iterator[Api]:
    with running(rules=RULES) as held:
        held.post(CONFIGMAPS, configmap())
        held.post(CONFIGMAPS, configmap("y"))
        held.post(ISVCS, isvc())
        yield held


def refusal(response: httpx.Response) -> str:
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["reason"], body["code"]) == (403, "Forbidden", 403)
    return str(body["message"])


def test_what_a_rule_allows_is_done(api: Api) -> None:
    assert api.http.get(f"{CONFIGMAPS}/x", headers=ROBOT).status_code == 200
    assert api.http.get(CONFIGMAPS, headers=ROBOT).status_code == 200
    patch = {"spec": {"predictor": {"canaryTrafficPercent": 10}}}
    answer = api.http.patch(f"{ISVCS}/digits", json=patch, headers=ROBOT | MERGE)
    assert answer.status_code == 200


def test_what_no_rule_allows_is_named_as_a_real_server_names_it(api: Api) -> None:
    assert refusal(api.http.delete(f"{ISVCS}/digits", headers=ROBOT)) == (
        'inferenceservices.serving.kserve.io "digits" is forbidden: User "robot" cannot delete '
        'resource "inferenceservices" in API group "serving.kserve.io" in the namespace "default"'
    )
    api.get(f"{ISVCS}/digits")


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("GET", f"{CONFIGMAPS}/y", "get"),
        ("GET", f"{CONFIGMAPS}?watch=true", "watch"),
        ("PUT", f"{CONFIGMAPS}/x", "update"),
        ("DELETE", CONFIGMAPS, "deletecollection"),
    ],
    ids=["another name", "a watch of what may be listed", "a write of what may be read", "all"],
)
def test_a_rule_allows_no_more_than_it_says(api: Api, method: str, path: str, verb: str) -> None:
    answer = api.http.request(method, path, json={}, headers=ROBOT)
    assert f'cannot {verb} resource "configmaps"' in refusal(answer)


def test_a_list_over_all_namespaces_needs_a_rule_for_all_of_them(api: Api) -> None:
    answer = api.http.get("/api/v1/configmaps", headers=ROBOT)
    assert "at the cluster scope" in refusal(answer)


def test_a_user_without_rules_may_do_nothing_and_nobody_everything(api: Api) -> None:
    stranger = {"Authorization": "Bearer stranger"}
    assert 'User "stranger"' in refusal(api.http.get(f"{CONFIGMAPS}/x", headers=stranger))
    api.get(f"{CONFIGMAPS}/x")
