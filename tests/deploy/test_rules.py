"""The rules by Prometheus' own promtool: every alert fires in one world and is silent in the nearest one."""

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.objects.monitoring import alerts, recording
from deploy.objects.monitoring.rules import rules
from tests.deploy import crd
from tests.evidence.conftest import has_prometheus
from tidegate.core.telemetry import HELP
from tidegate.policy.presets import KNOWN, PRESETS
from tidegate.policy.promql import metrics_of

Json = dict[str, Any]
UNIT_TESTS = Path(__file__).with_name("alerts.yaml")
GROUPS: list[Json] = rules()["spec"]["groups"]
ALERTS = [rule for group in alerts.groups() for rule in group["rules"]]
RECORDS = {rule["record"] for group in recording.groups() for rule in group["rules"]}
# Of kube-state-metrics, which no preset asks for.
OTHERS = {"kube_cronjob_status_last_successful_time"}


def promtool(folder: Path, groups: list[Json], *arguments: str) -> subprocess.CompletedProcess[str]:
    if not has_prometheus():
        pytest.skip("needs the Debian package prometheus, which brings promtool")
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    (folder / "alerts.yaml").write_bytes(UNIT_TESTS.read_bytes())
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True)


def test_promtool_accepts_every_rule(tmp_path: Path) -> None:
    done = promtool(tmp_path, GROUPS, "check", "rules", "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_and_is_silent_as_its_unit_tests_say(tmp_path: Path) -> None:
    done = promtool(tmp_path, GROUPS, "test", "rules", "alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_has_a_test_of_each_kind(alert: Json) -> None:
    looks = [
        look
        for one in yaml.safe_load(UNIT_TESTS.read_text())["tests"]
        for look in one["alert_rule_test"]
    ]
    found = {bool(look["exp_alerts"]) for look in looks if look["alertname"] == alert["alert"]}
    assert found == {True, False}


@pytest.mark.parametrize("how", ["never", "always"])
def test_the_unit_tests_see_an_alert_that_never_or_always_fires(how: str, tmp_path: Path) -> None:
    """All alerts are changed at once; each must be named in what promtool says."""
    groups = copy.deepcopy(GROUPS)
    for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
        rule.pop("for", None)
        rule["expr"] = "vector(1) > 2" if how == "never" else "vector(1)"
    done = promtool(tmp_path, groups, "test", "rules", "alerts.yaml")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert {
        alert["alert"] for alert in ALERTS if f"alertname: {alert['alert']}" not in told
    } == set()


@pytest.mark.parametrize(
    "rule",
    [*ALERTS, *(r for g in recording.groups() for r in g["rules"])],
    ids=lambda rule: (
        rule.get("alert") or f"{rule['record']}-{rule.get('labels', {}).get('source', '')}"
    ),
)
def test_a_rule_asks_only_for_metrics_that_somebody_exports(rule: Json) -> None:
    assert metrics_of(rule["expr"]) <= KNOWN | RECORDS | set(HELP) | OTHERS


def test_every_source_that_counts_requests_is_recorded_under_the_same_names() -> None:
    sources = {
        r["labels"]["source"] for g in recording.groups() for r in g["rules"] if "labels" in r
    }
    counting = {name for name, preset in PRESETS.items() if preset.requests}
    assert sources == counting - {"triton-2.51"}  # it counts as `triton` does, under the same names


def test_the_rules_are_valid_by_the_operator_s_own_crd_and_a_typo_is_not() -> None:
    assert crd.complaints(rules()) == []
    item = copy.deepcopy(rules())
    item["spec"]["groups"][0]["rules"][0]["exprs"] = item["spec"]["groups"][0]["rules"][0].pop(
        "expr"
    )
    assert crd.complaints(item) != []


def test_every_alert_says_whom_it_is_about_and_what_to_do() -> None:
    for alert in ALERTS:
        assert "$labels." in alert["annotations"]["summary"]
        assert len(alert["annotations"]["description"]) > 40
        assert alert["labels"]["severity"] in {"critical", "warning"}
