"""What is written to an InferenceService, on an API server with KServe's CRDs."""

from typing import Any

import pytest

from tests.adapters.conftest import Space
from tests.adapters.test_release_lock import a_journal
from tidegate.adapters.inference_service import InferenceServices
from tidegate.core.decisions import Act
from tidegate.core.diagnosis import Reason
from tidegate.core.journal import ActKind, Journal
from tidegate.core.observation import Observation
from tidegate.core.traffic import rules_of
from tidegate.documents import Incumbent
from tidegate.errors import ConflictError


@pytest.fixture
def service(space: Space) -> InferenceServices:
    space.needs("serving.kserve.io", "v1beta1")
    return InferenceServices(space.kube, space.namespace, "m")


def manifest(uri: str = "s3://m/1/") -> dict[str, Any]:
    model = {"modelFormat": {"name": "triton"}, "protocolVersion": "v2", "storageUri": uri}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "m"},
        "spec": {"predictor": {"minReplicas": 1, "model": model}},
    }


def journal_of(space: Space, seen: Observation) -> Journal:
    incumbent = Incumbent(
        revision="m-predictor-00001", storage_uri="s3://m/1/", predictor=seen.predictor
    )
    return a_journal(space, isvc_uid=seen.uid, incumbent=incumbent)


def patch_of(space: Space, act: Act, seen: Observation) -> dict[str, Any]:
    journal = journal_of(space, seen)
    wanted = manifest("s3://m/2/")["spec"]["predictor"]
    return rules_of(journal).patch_of(act, seen, journal, wanted)


ACTS = [
    Act(kind=ActKind.STAGE, percent=0, why="stage"),
    Act(kind=ActKind.SHIFT, percent=10, why="give"),
    Act(kind=ActKind.SHIFT, percent=0, why="return"),
    Act(kind=ActKind.RESTORE, percent=0, why="restore"),
    Act(kind=ActKind.UNSTAGE, why="withdraw"),
]


def test_what_is_not_there_is_none_and_may_be_deleted(service: InferenceServices) -> None:
    assert service.look() is None
    service.delete("no-such-uid")


def test_what_was_created_is_seen_and_not_created_twice(service: InferenceServices) -> None:
    created = service.create(manifest())
    seen = service.look()
    assert seen
    assert (seen.uid, seen.storage_uri) == (created.uid, "s3://m/1/")
    with pytest.raises(ConflictError):
        service.create(manifest("s3://m/2/"))


@pytest.mark.parametrize("act", ACTS, ids=lambda act: f"{act.kind} {act.percent}")
def test_an_object_that_was_deleted_and_made_again_is_never_written(
    space: Space, service: InferenceServices, act: Act
) -> None:
    service.create(manifest())
    seen = service.look()
    assert seen
    service.delete(seen.uid)
    again = service.create(manifest())
    assert again.uid != seen.uid
    with pytest.raises(ConflictError):
        service.patch(patch_of(space, act, seen))
    after = service.look()
    assert after
    assert (after.uid, after.predictor) == (again.uid, again.predictor)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: f"{act.kind} {act.percent}")
def test_only_a_return_to_zero_does_not_mind_another_writer(
    space: Space, service: InferenceServices, act: Act
) -> None:
    service.create(manifest())
    seen = service.look()
    assert seen
    service.patch({"spec": {"predictor": {"canaryTrafficPercent": 50}}})
    patch = patch_of(space, act, seen)
    if (act.kind, act.percent) == (ActKind.SHIFT, 0):
        assert service.patch(patch).percent == 0
        return
    with pytest.raises(ConflictError):
        service.patch(patch)
    after = service.look()
    assert after
    assert after.percent == 50


def test_a_deletion_spares_the_object_that_came_after(service: InferenceServices) -> None:
    old = service.create(manifest())
    service.delete(old.uid)
    new = service.create(manifest())
    with pytest.raises(ConflictError):
        service.delete(old.uid)
    seen = service.look()
    assert seen
    assert seen.uid == new.uid


def test_no_warnings_are_an_empty_answer(service: InferenceServices) -> None:
    assert service.warnings() == {}


def test_a_component_that_crashes_is_diagnosed_by_its_own_pods(
    space: Space, service: InferenceServices
) -> None:
    space.needs_the_emulated_server()
    made = manifest()
    made["spec"]["transformer"] = {"containers": [{"name": "own", "image": "own:1"}]}
    service.create(made)
    crashing(space)
    found = service.look()
    assert found
    assert set(found.troubled) == {"transformer"}
    told = found.troubled["transformer"]
    assert (told.reason, told.component) == (Reason.CRASH_LOOP, "transformer")
    assert "own (Error, exit code 3): no feature store" in told.message


def crashing(space: Space) -> None:
    """A transformer's revision, with one pod that fails again and again."""
    isvcs = f"/apis/serving.kserve.io/v1beta1/namespaces/{space.namespace}/inferenceservices"
    name = "m-transformer-00001"
    mine = {"serving.kserve.io/inferenceservice": "m", "component": "transformer"}
    owner = {"metadata": {"name": name, "labels": mine}, "spec": {}}
    revisions = f"/apis/serving.knative.dev/v1/namespaces/{space.namespace}/revisions"
    space.kube.request("POST", revisions, owner)
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no feature store"}}
    container = {
        "name": "own", "ready": False, "restartCount": 3, "lastState": ended, "image": "own:1",
        "imageID": "", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    }  # fmt: skip
    pod = {
        "metadata": {"name": f"{name}-x", "labels": {"serving.knative.dev/revision": name}},
        "spec": {"containers": []},
    }
    pods = f"/api/v1/namespaces/{space.namespace}/pods"
    space.kube.request("POST", pods, pod)
    status = {"phase": "Running", "containerStatuses": [container]}
    space.kube.request("PATCH", f"{pods}/{name}-x/status", {"status": status})
    shown = {"status": {"components": {"transformer": {"latestCreatedRevision": name}}}}
    space.kube.request("PATCH", f"{isvcs}/m/status", shown)
