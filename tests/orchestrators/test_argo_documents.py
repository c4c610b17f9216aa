"""The committed Argo documents: what Argo's own schema and its linter would say, and what was promised."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.orchestrators.argo_mutants import mutants
from tests.orchestrators.argo_references import problems, strings
from tidegate.errors import UnavailableError
from tidegate.orchestrators.buckets import S3, with_bucket
from tidegate.steps.registry import steps

Json = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "workflows"
DOCUMENTS: dict[str, Json] = {
    path.name: yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    for path in sorted(FOLDER.glob("*.yaml"))
}
EVERY = list(DOCUMENTS.values())
RELEASES = [d for d in EVERY if "templates" in d["spec"]]
every_document = pytest.mark.parametrize("name", DOCUMENTS)
every_release = pytest.mark.parametrize("release", RELEASES, ids=lambda d: d["metadata"]["name"])


def containers(document: Json) -> list[Json]:
    return [one for one in document["spec"]["templates"] if "container" in one]


# -- schema


@pytest.fixture(scope="module")
def definitions() -> Json:
    """Argo's schema, in which a misspelt field is an error."""
    shared = os.environ.get("TIDEGATE_SHARED")
    if not shared:
        pytest.skip("TIDEGATE_SHARED names no folder with Argo's schema")
    whole = json.loads((Path(shared) / "data" / "argo-workflows-schema.json").read_text())
    found: Json = whole["definitions"]
    for definition in found.values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return found


def errors(document: Json, definitions: Json) -> list[str]:
    reference = f"#/definitions/io.argoproj.workflow.v1alpha1.{document['kind']}"
    schema = {"definitions": definitions, "$ref": reference}
    return [e.message for e in Draft202012Validator(schema).iter_errors(document)]


@every_document
def test_a_document_is_what_argos_schema_says(name: str, definitions: Json) -> None:
    assert errors(DOCUMENTS[name], definitions) == []


@every_document
def test_with_a_bucket_of_ones_own_it_still_is(name: str, definitions: Json) -> None:
    s3 = S3(bucket="models", endpoint="minio.minio:9000", region="eu-west-1", insecure=True)
    assert errors(yaml.safe_load(with_bucket(yaml.dump(DOCUMENTS[name]), s3)), definitions) == []


@pytest.mark.parametrize(("right", "wrong"), [("onExit", "onExitt"), ("podGC", "podGc")])
def test_a_misspelt_field_is_found(right: str, wrong: str, definitions: Json) -> None:
    document = json.loads(json.dumps(DOCUMENTS["release.yaml"]).replace(f'"{right}"', f'"{wrong}"'))
    assert wrong in errors(document, definitions)[0]


# -- references


def test_every_reference_leads_somewhere() -> None:
    assert problems(EVERY) == []


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "release-cluster.yaml"])
def test_every_reference_that_is_broken_is_found(name: str) -> None:
    """Each name in a document, changed alone; the cluster's template is another one's copy."""
    number = list(DOCUMENTS).index(name)
    broken = dict(mutants(DOCUMENTS[name]))
    survived = [what for what, one in broken.items() if not problems(_with(number, one), of=number)]
    assert survived == []
    assert broken


def test_there_is_a_mutant_of_every_kind_of_reference() -> None:
    broken = [what for document in EVERY for what, _ in mutants(document)]
    assert len(broken) >= 30
    kinds = {what.partition(":")[0].rpartition("/")[2] for what in broken}
    assert {"template", "depends", "from", "value", "expression", "entrypoint", "onExit"} <= kinds


def _with(number: int, document: Json) -> list[Json]:
    return [*EVERY[:number], document, *EVERY[number + 1 :]]


# -- what was promised


@every_release
def test_only_exit_75_is_tried_again(release: Json) -> None:
    wanted = f"asInt(lastRetry.exitCode) == {UnavailableError.exit_code}"
    for template in containers(release):
        assert template["retryStrategy"]["expression"] == wanted
        assert int(template["retryStrategy"]["limit"]) > 0


@every_release
def test_whatever_happens_the_guard_runs_with_the_id_of_the_run(release: Json) -> None:
    by_name = {t["name"]: t for t in release["spec"]["templates"]}
    (guard,) = by_name[release["spec"]["onExit"]]["dag"]["tasks"]
    assert guard["template"] == "guard"
    assert {"name": "release_id", "value": "{{workflow.uid}}"} in guard["arguments"]["parameters"]


@every_release
def test_releases_queue_and_leave_nothing_behind(release: Json) -> None:
    spec = release["spec"]
    (mutex,) = spec["synchronization"]["mutexes"]
    assert mutex["name"] == "tidegate-{{workflow.parameters.queue}}"
    assert spec["ttlStrategy"]["secondsAfterSuccess"] > 0
    assert spec["podGC"]["strategy"] == "OnPodSuccess"
    assert spec["archiveLogs"] is ("artifacts" in json.dumps(spec))  # where there is a repository
    kinds = [set(metric) & {"gauge", "counter"} for metric in spec["metrics"]["prometheus"]]
    assert kinds == [{"gauge"}, {"counter"}]


@every_release
def test_approval_is_a_bounded_suspension_in_which_silence_is_undecided(release: Json) -> None:
    (hold,) = [t for t in release["spec"]["templates"] if "suspend" in t]
    assert hold["suspend"]["duration"] == "{{inputs.parameters.approval_timeout_s}}"
    (decision,) = hold["outputs"]["parameters"]
    assert decision["valueFrom"] == {"supplied": {}, "default": "undecided"}
    (offered,) = [p for p in hold["inputs"]["parameters"] if p["name"] == "decision"]
    assert offered["enum"] == ["approve", "reject", "undecided"]


@every_release
def test_secrets_come_by_secret_and_never_by_parameter(release: Json) -> None:
    names = {p["name"] for p in release["spec"]["arguments"]["parameters"]}
    assert not [name for name in names if re.search("token|password|secret|key", name)]
    for template in containers(release):
        assert template["container"]["envFrom"] == [
            {"configMapRef": {"name": "tidegate"}},
            {"secretRef": {"name": "tidegate", "optional": True}},
        ]
        assert "env" not in template["container"]


@every_release
def test_a_step_has_its_own_account_and_no_more_rights_than_it_needs(release: Json) -> None:
    accounts = (FOLDER.parent / "deploy/base/service-accounts.yaml").read_text()
    known = {one["metadata"]["name"] for one in yaml.safe_load_all(accounts)}
    for template in containers(release):
        assert template["serviceAccountName"] == f"tidegate-{template['name']}"
        assert template["serviceAccountName"] in known
        security = template["container"]["securityContext"]
        assert security["runAsNonRoot"] is security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}


@every_release
def test_the_gpu_of_the_steps_that_use_one_is_chosen_when_the_run_starts(release: Json) -> None:
    known = {step.command: step for step in steps().values()}
    patched = {t["name"]: t["podSpecPatch"] for t in containers(release) if "podSpecPatch" in t}
    assert set(patched) == {n for n, s in known.items() if s.gpu} & {
        t["name"] for t in containers(release)
    }
    for patch in patched.values():
        filled = patch.replace("{{workflow.parameters.gpu_resource}}", "nvidia.com/mig-1g.10gb")
        filled = filled.replace("{{workflow.parameters.gpu_count}}", "1")
        (main,) = json.loads(filled)["containers"]
        assert main == {"name": "main", "resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}


@every_release
def test_a_pod_says_whose_it_is_and_which_step(release: Json) -> None:
    for template in containers(release):
        assert template["metadata"]["labels"] == {
            "app.kubernetes.io/part-of": "tidegate",
            "app.kubernetes.io/component": template["name"],
        }


@every_release
def test_no_image_is_fixed_in_a_template(release: Json) -> None:
    given = {p["name"] for p in release["spec"]["arguments"]["parameters"]}
    for template in containers(release):
        found = re.fullmatch(
            r"\{\{workflow\.parameters\.(\w+_image)\}\}", template["container"]["image"]
        )
        assert found
        assert found[1] in given


def test_files_go_through_the_bucket_or_through_the_claim() -> None:
    bucket, claim = DOCUMENTS["release.yaml"], DOCUMENTS["release-on-claim.yaml"]
    keys = [
        artifact["s3"]["key"]
        for template in containers(bucket)
        for artifact in template.get("outputs", {}).get("artifacts", [])
    ]
    assert all(key.startswith("tidegate/{{workflow.uid}}/") for key in keys)
    assert len(keys) == len(set(keys))
    assert "artifacts" not in json.dumps(claim)
    assert {
        "name": "work",
        "persistentVolumeClaim": {"claimName": "{{workflow.parameters.claim}}"},
    } in (claim["spec"]["volumes"])
    for template in containers(claim):
        (mount,) = [m for m in template["container"]["volumeMounts"] if m["name"] == "work"]
        assert mount["subPath"] == "{{workflow.uid}}"


def test_a_schedule_joins_no_run_that_still_goes_on() -> None:
    cron = DOCUMENTS["cron.yaml"]["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    assert cron["schedules"] == ["0 3 * * 0"]
    assert cron["startingDeadlineSeconds"] > 0
    assert cron["workflowSpec"]["workflowTemplateRef"] == {"name": "tidegate-scheduled-release"}


def test_the_cluster_template_is_the_same_release() -> None:
    cluster, namespaced = DOCUMENTS["release-cluster.yaml"], DOCUMENTS["release.yaml"]
    assert cluster["kind"] == "ClusterWorkflowTemplate"
    assert cluster["spec"] == namespaced["spec"]


def test_nothing_of_argo_3_5_that_argo_4_removed_is_left() -> None:
    for document in EVERY:
        assert "mutex" not in document["spec"].get("synchronization", {})
        assert "schedule" not in document["spec"]
        assert all("{{steps." not in text for text in strings(document))
