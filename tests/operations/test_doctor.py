"""doctor on a cluster that is as it must be, and on one in which each thing in turn is not."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.operations.sick_cluster import BROKEN, CLAIM, MIG, NAMESPACE, World, visited
from tests.rbac.verbs import load
from tidegate.adapters.kubernetes import connect
from tidegate.cli import app
from tidegate.core.checkup import Check, State, exit_code
from tidegate.errors import UsageError
from tidegate.operations.doctor import Wanted, examined, lines, wanted_by
from tidegate.policy import Policy
from tidegate.sandbox.api.kubeconfig import write_kubeconfig


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


WANTED = Wanted(namespace=NAMESPACE, accelerators={MIG: 1}, step="sweep", claim=CLAIM)


def looked(world: World, monkeypatch: pytest.MonkeyPatch, wanted: Wanted = WANTED) -> list[Check]:
    with visited(world, monkeypatch), connect(retry_s=0.5) as kube:
        return examined(kube, wanted)


def test_a_cluster_that_is_as_it_must_be_has_nothing_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = looked(world, monkeypatch)
    assert {check.name: check.state for check in checks if check.state is not State.OK} == {}
    assert len(checks) == 19
    assert exit_code(checks) == 0
    assert not [*(world.folder / "store").iterdir()], "the probe is gone"


def test_every_step_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    every = Wanted(namespace=NAMESPACE, runtime="tidegate-triton")
    checks = looked(world, monkeypatch, every)
    asked = {c.name.removeprefix("permissions of ") for c in checks if "permissions" in c.name}
    assert asked == set(load())
    assert exit_code(checks) == 0


@pytest.mark.parametrize(
    ("breaking", "name", "state", "found", "remedy"),
    [case[1:] for case in BROKEN],
    ids=[case[0] for case in BROKEN],
)
def test_one_thing_that_is_not_as_it_must_be_is_found_alone_with_its_remedy(
    world: World, monkeypatch: pytest.MonkeyPatch, breaking: Callable[[World], None], name: str,
    state: State, found: str, remedy: str,
) -> None:  # fmt: skip
    breaking(world)
    checks = looked(world, monkeypatch)
    (bad,) = [check for check in checks if check.state is not State.OK]
    assert (bad.name, bad.state) == (name, state), bad

    assert re.search(found, bad.found), bad.found
    assert re.search(remedy, bad.remedy), bad.remedy
    assert exit_code(checks) == {State.FAIL: 5, State.UNKNOWN: 75, State.WARN: 0}[state]


def test_a_dedicated_baseline_wants_a_third_set_of_accelerators(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(WANTED, has_baseline=True, accelerators={MIG: 50})
    (bad,) = [one for one in looked(world, monkeypatch, wanted) if one.state is not State.OK]
    assert "incumbent, candidate and dedicated baseline together take 150" in bad.found


def test_standard_mode_is_asked_for_what_a_canary_needs_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = looked(world, monkeypatch, replace(WANTED, mode="Standard"))
    found = {check.name: check for check in checks}
    assert found["canaries in Standard mode"].state is State.FAIL
    assert found["KServe writes HTTPRoutes"].remedy.endswith("set ingress.enableGatewayApi to true")
    assert found["Gateway API"].state is State.OK
    assert "CRD services.serving.knative.dev" not in found


def test_without_an_api_the_rest_is_still_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with visited(world, monkeypatch):
        away = write_kubeconfig(world.folder / "away", "http://127.0.0.1:9")
        monkeypatch.setenv("KUBECONFIG", str(away))
        with connect(retry_s=0.2) as kube:
            checks = examined(kube, WANTED)
    assert checks[0].state is State.UNKNOWN
    assert {"storage", "MLflow"} <= {check.name for check in checks if check.state is State.OK}
    assert exit_code(checks) == 75


def claims(
    world: World, monkeypatch: pytest.MonkeyPatch, runs_in: str
) -> dict[str, tuple[State, str]]:
    """What is found of the claims, with the models on claim `models`, which is mounted here."""
    (world.folder / "volume").mkdir()
    world.environment |= {
        "TIDEGATE_STORAGE_URI": "pvc://models/t",
        "TIDEGATE_CLAIM_MOUNTS": f"models={world.folder / 'volume'}",
    }
    checks = looked(world, monkeypatch, replace(WANTED, claim="", runs_in=runs_in))
    assert next(one for one in checks if one.name == "storage").state is State.OK
    return {one.name: (one.state, one.found) for one in checks if one.name.startswith("claim ")}


def test_the_claim_of_the_models_is_written_and_read_in_one_namespace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.claim("Bound", "ReadOnlyMany", name="models")
    found = claims(world, monkeypatch, "")
    assert set(found) == {"claim models of models"}
    assert found["claim models of models"][0] is State.FAIL, "publish cannot write to it"


def test_in_two_namespaces_each_claim_is_judged_by_who_uses_it_and_they_must_be_one_volume(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.claim("Bound", "ReadOnlyMany", name="models")
    world.claim("Bound", "ReadWriteMany", name="models", namespace="argo")
    found = claims(world, monkeypatch, "argo")
    assert {name: state for name, (state, _) in found.items()} == {
        "claim models of models in argo": State.OK,
        f"claim models of models in {NAMESPACE}": State.OK,
        "claim models in two namespaces": State.WARN,
    }
    assert f"writes to that of argo, the predictors read that of {NAMESPACE}" in str(found)


def test_a_steps_own_account_is_asked_for_instead_of_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Wanted(namespace=NAMESPACE, runtime="tidegate-triton", accounts=True, runs_in="argo")
    found = {check.name: check for check in looked(world, monkeypatch, own)}
    assert found["permissions of sweep"].state is State.OK
    assert "tidegate-sweep may do all" in found["permissions of sweep"].found
    other = found["permissions of guard"]  # an account that nothing was given to
    assert other.state is State.FAIL
    assert "tidegate-guard may not" in other.found


KEDA = {"kind": "keda", "triggers": [{"kind": "queue_time", "threshold": 20}]}


@pytest.mark.parametrize(
    ("resource", "serving", "state", "said"),
    [
        ("scaledobjects", None, State.WARN, "a policy with serving.scaling.kind keda is refused"),
        ("scaledobjects", {}, State.WARN, "a policy with serving.scaling.kind keda is refused"),
        ("scaledobjects", {"scaling": KEDA, "max_replicas": 4}, State.FAIL, "scaledobjects.keda.sh in ml$"),
        ("nodes", {}, State.WARN, "in all namespaces: a policy with a device, such as a GPU, is refused"),
        ("pods", {}, State.WARN, "list pods in ml: the release tells less$"),
        ("pods", {"gpu": {}}, State.WARN, "in all namespaces: what other pods hold is not known$"),
        ("httproutes", {}, State.FAIL, "get httproutes.gateway.networking.k8s.io in ml$"),
    ],
)  # fmt: skip
def test_a_permission_that_only_a_feature_needs_is_missed_where_it_is_used(
    world: World, monkeypatch: pytest.MonkeyPatch,
    resource: str, serving: dict[str, object] | None, state: State, said: str,
) -> None:  # fmt: skip
    world.rules = [rule for rule in world.rules if rule.resource != resource]
    asked = {"name": "a", "namespace": NAMESPACE, "model": {"uri": "models:/a/1"}}
    policy = None if serving is None else Policy.model_validate(asked | {"serving": serving})
    checks = looked(world, monkeypatch, replace(WANTED, step="deploy", policy=policy))
    found = next(one for one in checks if one.name == "permissions of deploy")
    assert found.state is state
    assert re.search(said, found.found), found.found


def test_an_unknown_step_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no step 'swep' asks the API"):
        looked(world, monkeypatch, Wanted(namespace=NAMESPACE, step="swep"))


def test_a_policy_says_what_to_look_for() -> None:
    serving = {
        "runtime": "r",
        "min_replicas": 2,
        "max_replicas": 2,
        "resources": {"limits": {MIG: "1", "cpu": "4"}},
    }
    policy = Policy.model_validate(
        {"name": "a", "namespace": "n", "model": {"uri": "models:/a/1"}, "serving": serving}
    )
    wanted = wanted_by(policy, step="sweep", namespace="")
    assert (wanted.namespace, wanted.runtime, wanted.step) == ("n", "r", "sweep")
    assert wanted.accelerators == {MIG: 2}
    assert not wanted.has_baseline


def test_the_command_prints_a_line_and_a_remedy_or_json_and_exits_by_the_worst(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.series.clear()
    policy = world.folder / "policy.yaml"
    policy.write_text(f"name: digits\nnamespace: {NAMESPACE}\nmodel: {{uri: models:/digits/1}}\n")
    with visited(world, monkeypatch):
        told = CliRunner().invoke(app, ["doctor", str(policy), "--step", "sweep"])
        data = CliRunner().invoke(app, ["doctor", str(policy), "--step", "sweep", "--json"])
    assert told.exit_code == data.exit_code == 5
    assert "FAIL     scraping: no kn_serving" in told.stdout
    assert "         -> apply a PodMonitor" in told.stdout
    checks = [Check.model_validate_json(json.dumps(one)) for one in json.loads(data.stdout)]
    assert told.stdout.splitlines() == list(lines(checks))
