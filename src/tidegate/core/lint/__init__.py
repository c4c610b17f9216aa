"""What Triton accepts in silence, or refuses in its log only: found before anything is published.

Each rule is a function of a `Repository` that says what is wrong, '' when nothing is, and what the server
itself would do about it. The rules follow trials against a real server, which a test repeats.
"""

from tidegate.core.lint import (
    aoti,
    ensemble,
    instances,
    layout,
    onnx,
    plan,
    scheduling,
    sequences,
    target,
    tensors,
    warmup,
)
from tidegate.core.lint.subject import Graph, Judged, Package, Plan, Repository, Rule, Server
from tidegate.documents import Finding, Word

RULES: tuple[Rule, ...] = (
    *layout.RULES,
    *tensors.RULES,
    *scheduling.RULES,
    *sequences.RULES,
    *instances.RULES,
    *warmup.RULES,
    *ensemble.RULES,
    *target.RULES,
    *onnx.RULES,
    *plan.RULES,
    *aoti.RULES,
)

__all__ = [
    "RULES",
    "Graph",
    "Judged",
    "Package",
    "Plan",
    "Repository",
    "Rule",
    "Server",
    "lint",
    "triton_version",
]


def lint(repository: Repository) -> tuple[Finding, ...]:
    """One finding per rule, in a fixed order."""
    return tuple(_finding(rule, rule.check(repository)) for rule in RULES)


def triton_version(text: str) -> tuple[int, int]:
    """`2.51` as a pair; the policy has checked its form."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _finding(rule: Rule, complaint: str) -> Finding:
    word = Word.FAIL if complaint else Word.PASS
    return Finding(name=f"lint: {rule.name}", word=word, message=complaint or "as it should be")
