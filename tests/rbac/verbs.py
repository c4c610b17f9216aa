"""`deploy/rbac/verbs.yaml`: what each step asks of the Kubernetes API, as recorded on the wire."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tests.faults.calls import Request
from tests.steps.traffic.traffic_cluster import NAME
from tidegate.sandbox.api.rbac import Rule, asked_for

PATH = Path(__file__).parents[2] / "deploy" / "rbac" / "verbs.yaml"
HEAD = """\
# What each step asks of the Kubernetes API, recorded over whole releases: promoted, rolled back, guarded,
# swept, and first ones. `make record-verbs` writes it; a test fails when a step asks for more or for less.
# A rule without `namespace` is for the namespace of the InferenceService, `everywhere` for all of them;
# without a rule that is `optional` a release goes on and tells less.
"""
OPTIONAL = {
    ("create", "events"),  # what it did is told by its journal and its report, too
    ("list", "events"),  # what KServe refuses is then seen by its silence, later
    ("list", "pods"),  # a failure is then told in Knative's words
    ("get", "pods/log"),
    ("list", "nodes"),  # a policy with a GPU is then refused, unless it says `preflight: report`
    ("create", "jobs"),  # an objective of kind job is then INVALID
    ("get", "jobs"),
    ("delete", "jobs"),  # the cluster removes it after an hour
    (
        "delete",
        "revisions",
    ),  # a crashed candidate is then left once the incumbent's model has loaded anew
}


def rule_of(request: Request) -> Rule:
    """What a Role must allow; names that come from the release are left open."""
    asked = asked_for(request.method, request.at, watch=request.verb == "watch")
    is_ours = NAME in asked.name or asked.name.startswith("tidegate-gate-")
    return replace(
        asked,
        name="" if is_ours else asked.name,
        namespace={"default": "", "": "*"}.get(asked.namespace, asked.namespace),
    )


def is_optional(rule: Rule) -> bool:
    """An object that is named describes the cluster; what cannot be read of it the policy may say."""
    return (rule.verb, rule.resource) in OPTIONAL or rule.name != ""


def rules_for(rules: Iterable[Rule], namespace: str) -> list[Rule]:
    """As they hold for an InferenceService in this namespace."""
    return [replace(rule, namespace=_where(rule, namespace)) for rule in rules]


def _where(rule: Rule, namespace: str) -> str:
    return "" if rule.namespace == "*" else rule.namespace or namespace


def load() -> dict[str, list[Rule]]:
    """Step -> its rules, one for each verb."""
    found = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return {
        step: [rule for entry in entries for rule in _rules(entry)]
        for step, entries in found.items()
    }


def _rules(entry: dict[str, Any]) -> list[Rule]:
    where = "*" if entry.get("everywhere") else entry.get("namespace", "")
    return [
        Rule(
            verb=verb, group=entry["apiGroup"], resource=entry["resource"], namespace=where, name=name,
        )
        for verb in entry["verbs"]
        for name in entry.get("resourceNames", [""])
    ]  # fmt: skip


def text_of(steps: dict[str, Iterable[Rule]]) -> str:
    """The file."""
    document = {step: _entries(sorted(set(rules), key=_order)) for step, rules in steps.items()}
    return HEAD + yaml.safe_dump(document, sort_keys=False, width=110, default_flow_style=None)


def _order(rule: Rule) -> tuple[str, ...]:
    return rule.group, rule.resource, rule.namespace, rule.name, rule.verb


def _entries(rules: list[Rule]) -> list[dict[str, Any]]:
    grouped: dict[tuple[Any, ...], list[str]] = {}
    for rule in rules:
        key = (rule.group, rule.resource, rule.namespace, rule.name, is_optional(rule))
        grouped.setdefault(key, []).append(rule.verb)
    return [_entry(*key) | {"verbs": verbs} for key, verbs in grouped.items()]


def _entry(group: str, resource: str, namespace: str, name: str, optional: bool) -> dict[str, Any]:
    """As a rule of a Role, without the verbs."""
    entry: dict[str, Any] = {"apiGroup": group, "resource": resource}
    entry |= (
        {"everywhere": True} if namespace == "*" else {"namespace": namespace} if namespace else {}
    )
    entry |= {"resourceNames": [name]} if name else {}
    return entry | ({"optional": True} if optional else {})
