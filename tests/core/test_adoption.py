"""Taking over what tidegate did not make: everything it changes and keeps is said, or it is refused."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.adoption import (
    adoption_of,
    consequences,
    is_foreign,
    needs_leave,
    overlaid,
    unfit,
)
from tidegate.core.claim import Claim, claim
from tidegate.core.decisions import Refuse
from tidegate.core.manifest import PERCENT, predictor, stage_patch
from tidegate.core.observation import SOURCE_URI, Observation, observe
from tidegate.core.ownership import owner_of
from tidegate.policy import Policy

OLD, NEW = "s3://models/fraud/7/", "s3://models/fraud/8/"
R1 = "fraud-predictor-00001"
TRITON = {"modelFormat": {"name": "triton"}, "protocolVersion": "v2", "storageUri": OLD}
FOREIGN = {"minReplicas": 3, "nodeSelector": {"pool": "gpu"}, "model": TRITON}
ARGO = {"argocd.argoproj.io/tracking-id": "shop:serving.kserve.io/InferenceService:prod/fraud"}


def policy(adopt: str = "refuse", **changes: Any) -> Policy:
    base = {"name": "fraud", "namespace": "prod", "model": {"uri": "models:/fraud/8"}}
    return Policy.model_validate(base | {"adopt": adopt} | changes)


def seen(
    spec: Mapping[str, Any] = FOREIGN,
    *,
    version: str = "",
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    managers: tuple[str, ...] = (),
    mode: str = "Knative",
    **parts: Any,
) -> Observation:
    """An InferenceService that serves OLD with everything; `version` is tidegate's label, if any."""
    fields = [{"manager": manager} for manager in managers]
    fields += [{"manager": "kserve-controller", "subresource": "status"}]
    metadata = {"uid": "u", "annotations": annotations, "labels": labels, "managedFields": fields}
    shares = [{"latestRevision": True, "percent": 100, "revisionName": R1, "tag": "latest"}]
    component = {
        "latestCreatedRevision": R1, "latestReadyRevision": R1, "latestRolledoutRevision": R1,
        "traffic": shares,
    }  # fmt: skip
    revision = {
        "metadata": {
            "name": R1,
            "annotations": {SOURCE_URI: OLD},
            "labels": {"tidegate.dev/model-version": version} if version else {},
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "actualReplicas": 1},
    }
    status = {"components": {"predictor": component}, "deploymentMode": mode}
    return observe(
        {"metadata": metadata, "spec": {"predictor": dict(spec), **parts}, "status": status},
        [revision],
    )


def said(found: Observation, chosen: Policy | None = None) -> dict[str, tuple[str, str]]:
    listed = consequences(found, chosen or policy(), NEW, "8")
    return {one.field: (one.now, one.after) for one in listed}


# -- whose is it?


def test_a_service_that_tidegate_promoted_before_is_not_foreign() -> None:
    ours = seen(version="7")
    assert not needs_leave(ours)
    assert isinstance(claim(ours, policy(), NEW), Claim)


def test_a_service_that_tidegate_created_is_not_foreign() -> None:
    assert not is_foreign(seen(annotations={"tidegate.dev/created-by": "r1"}))


@pytest.mark.parametrize(
    ("marks", "tool"),
    [
        ({"annotations": ARGO}, "Argo CD"),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, "Flux"),
        (
            {
                "labels": {"helm.toolkit.fluxcd.io/name": "shop"},
                "annotations": {"meta.helm.sh/release-name": "shop"},
            },
            "Flux (Helm)",
        ),
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "Helm"),
        ({"managers": ("argocd-controller",)}, "Argo CD"),
        ({"managers": ("kubectl-edit", "kustomize-controller")}, "Flux"),
    ],
)
def test_who_keeps_it_is_known_by_the_marks_that_it_leaves(marks: Any, tool: str) -> None:
    found = seen(version="7", **marks)
    owner = owner_of(found)
    assert owner
    assert owner.tool == tool
    assert needs_leave(found)


def test_nobody_keeps_what_only_people_and_kserve_wrote() -> None:
    labels = {"app.kubernetes.io/instance": "shop"}
    assert owner_of(seen(managers=("kubectl-client-side-apply",), labels=labels)) is None


# -- refused in one line, with what it would do


def test_a_foreign_service_is_refused_in_one_line_with_what_would_come_of_it() -> None:
    refusal = claim(seen(), policy(), NEW)
    assert isinstance(refusal, Refuse)
    assert "\n" not in refusal.reason
    for told in (
        "prod/fraud was not made by tidegate",
        "spec.predictor.minReplicas 3 -> 1",
        "keep spec.predictor.nodeSelector",
        "write adopt: allow",
    ):
        assert told in refusal.reason


def test_what_gitops_keeps_is_refused_even_if_tidegate_made_it() -> None:
    refusal = claim(seen(version="7", annotations=ARGO), policy(), NEW)
    assert isinstance(refusal, Refuse)
    assert "is kept by Argo CD (metadata.annotations[argocd.argoproj.io/tracking-id])" in (
        refusal.reason
    )


def test_with_leave_the_claim_holds_every_consequence() -> None:
    start = claim(seen(), policy("allow"), NEW, "8")
    assert isinstance(start, Claim)
    assert start.incumbent
    assert start.incumbent.predictor["nodeSelector"] == {"pool": "gpu"}
    assert start.adopted == consequences(seen(), policy(), NEW, "8")


@pytest.mark.parametrize(
    ("spec", "parts", "reason"),
    [
        (
            FOREIGN,
            {"transformer": {"containers": [{}]}},
            "spec.transformer is there, and the policy has no serving.transformer",
        ),
        (
            FOREIGN,
            {"explainer": {"art": {}}},
            "spec.explainer is there, and the policy has no serving.explainer",
        ),
        ({"sklearn": {"storageUri": OLD}}, {}, "spec.predictor.sklearn"),
        ({"containers": [{"image": "mine"}]}, {}, "spec.predictor.containers"),
        ({}, {}, "no predictor"),
        ({"model": TRITON | {"storage": {"path": "s"}}}, {}, "has storage"),
        ({"model": TRITON, "storageUris": [{}]}, {}, "has storageUris"),
        ({"model": TRITON, "workerSpec": {"size": 2}}, {}, "has workerSpec"),
        ({"model": {"modelFormat": {"name": "sklearn"}, "storageUri": OLD}}, {}, "speaks v1"),
        ({"model": TRITON | {"protocolVersion": "grpc-v2"}}, {}, "speaks grpc-v2"),
    ],
)
def test_no_policy_releases_what_a_canary_would_break(spec: Any, parts: Any, reason: str) -> None:
    found = seen(spec, version="7", **parts)
    refusal = claim(found, policy("allow"), NEW)
    assert isinstance(refusal, Refuse)
    assert reason in refusal.reason
    assert adoption_of(found, policy("allow"), NEW, "8") == ()


@pytest.mark.parametrize(
    "model",
    [
        {"modelFormat": {"name": "triton"}},
        {"modelFormat": {"name": "onnx"}, "runtime": "kserve-tritonserver"},
        {"modelFormat": {"name": "sklearn"}, "protocolVersion": "v2"},
    ],
)
def test_whatever_speaks_v2_can_be_taken_over(model: Any) -> None:
    assert unfit(seen({"model": model | {"storageUri": OLD}}), policy()) is None


# -- every consequence


def test_what_the_policy_names_changes_and_the_rest_is_kept() -> None:
    told = said(seen())
    assert told["spec.predictor.minReplicas"] == ("3", "1")
    assert told["spec.predictor.nodeSelector"] == ('{"pool": "gpu"}', '{"pool": "gpu"}')
    assert told["spec.predictor.model.storageUri"] == (OLD, NEW)
    assert told["spec.predictor.model.runtime"] == ("", "tidegate-triton")
    assert told[f"spec.predictor.{PERCENT}"] == ("", "0")
    assert "spec.predictor.model.protocolVersion" not in told


def test_tag_routing_comes_with_the_first_act_and_stays() -> None:
    field = "metadata.annotations[serving.kserve.io/enable-tag-routing]"
    assert said(seen())[field] == ("", "true")
    tagged = seen(annotations={"serving.kserve.io/enable-tag-routing": "true"})
    assert field not in said(tagged)


def test_in_standard_mode_the_candidate_is_an_entry_of_its_own() -> None:
    told = said(seen(mode="Standard"))
    assert told["spec.canary"] == ("", "an entry at 0 %")
    assert f"spec.predictor.{PERCENT}" not in told
    assert "metadata.annotations[serving.kserve.io/enable-tag-routing]" not in told


def test_a_keeper_is_told_how_to_leave_the_release_alone() -> None:
    (one,) = [
        c for c in consequences(seen(annotations=ARGO), policy(), NEW, "8") if "argocd" in c.field
    ]
    assert "ignoreDifferences" in one.why
    assert "/spec/predictor/canaryTrafficPercent, /spec/predictor/model/storageUri" in one.why
    assert "RespectIgnoreDifferences=true" in one.why


def test_a_person_who_applies_manifests_is_told_too() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    assert any("next kubectl apply" in c.why for c in consequences(
        seen(annotations=applied), policy(), NEW, "8"
    ))  # fmt: skip


def test_clients_must_ask_for_the_models_name_of_the_policy() -> None:
    assert said(seen())["the path of requests"][1] == "/v2/models/fraud/infer"
    named = policy(triton={"model_name": "scorer"})
    assert said(seen(), named)["the path of requests"][1] == "/v2/models/scorer/infer"


LEAVES = st.integers(0, 3) | st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2)
OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner | LEAVES, max_size=3),
    max_leaves=8,
)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, to the letter."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def written(target: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The object with one field set; None takes it away."""
    key, *rest = path
    if rest:
        return {**target, key: written(target[key], tuple(rest), value)}
    kept = {name: held for name, held in target.items() if name != key}
    return kept if value is None else {**kept, key: value}


def named(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every leaf by its path."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {k: v for key in value for k, v in named(value[key], (*path, key)).items()}


@given(now=OBJECTS, wanted=OBJECTS)
def test_the_changes_told_are_exactly_what_the_patch_does_to_any_predictor(
    now: dict[str, Any], wanted: dict[str, Any]
) -> None:
    after, told = merged(now, wanted), list(overlaid(now, wanted))
    forward, back = now, after
    for one in told:
        assert one.is_kept == (one.now == one.after)
        forward, back = written(forward, one.path, one.after), written(back, one.path, one.now)
    assert forward == after
    assert back == now


@given(now=OBJECTS, wanted=OBJECTS)
def test_every_field_of_any_predictor_is_told_unless_the_policy_wants_it_as_it_is(
    now: dict[str, Any], wanted: dict[str, Any]
) -> None:
    told = [one.path for one in overlaid(now, wanted)]
    wants = named(wanted)
    for path, value in named(now).items():
        is_told = any(path[: len(one)] == one for one in told)
        is_wanted = wants.get(path) == value or (isinstance(value, dict) and not value)
        assert is_told or is_wanted, path


@given(spec=OBJECTS)
def test_the_patch_of_the_staging_is_the_one_that_was_told(spec: dict[str, Any]) -> None:
    wanted = predictor(policy(), NEW, "8").as_dict()
    patch = stage_patch(wanted, resource_version="1", add_tag_routing=True)
    now = {**spec, "model": TRITON, "minReplicas": 2}
    told = list(overlaid(now, {**wanted, PERCENT: 0}))
    assert list(overlaid(now, patch["spec"]["predictor"])) == told
    assert {one.path[0] for one in told if one.is_kept} >= set(spec) - {"model", "minReplicas"}
