"""Reads the queries of a policy as Prometheus would, and says what would go wrong with them at the gate.

A query must give one number, about one revision, from metrics that exist. What is judged is what the text
promises: by the labels that are left after its aggregations, whatever Prometheus holds at the moment.
"""

import re
import string
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

import promql_parser
from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)

from tidegate.policy.presets import KNOWN

PLACEHOLDERS = {
    "revision": "the candidate's revision (Standard mode: its Service)",
    "incumbent": "the incumbent's",
    "pods": "a regular expression of the names of the candidate's pods",
    "namespace": "the InferenceService's namespace",
    "name": "the InferenceService",
    "window": "the objective's window_s, never longer than the time since the step",
}
ABOUT_ONE = ("$revision", "$pods", "$incumbent")
_WHOLE = {"absent", "absent_over_time", "scalar", "vector", "time"}  # one number, whatever goes in
_STAND_IN = timedelta(days=36500)  # a window that nobody writes
_FILLED = {"window": "36500d"} | {name: f"${name}" for name in PLACEHOLDERS if name != "window"}

_SIGNS = {
    str(op): sign
    for op, sign in (
        (MatchOp.Equal, "="),
        (MatchOp.NotEqual, "!="),
        (MatchOp.Re, "=~"),
        (MatchOp.NotRe, "!~"),
    )
}

Labels = frozenset[str] | None  # None: any labels


def complaint(query: str, *, known: frozenset[str] = frozenset()) -> str:
    """What is wrong with a query and what to do, '' when nothing is; `known`: metrics of the user's own."""
    if wrong := _placeholders(query):
        return wrong
    try:
        tree = _parsed(query)
    except ValueError as error:
        return f"is not PromQL ({error}); try it in Prometheus first"
    complaints = (_unpinned(tree), _several(tree), _unknown(tree, known))
    return next(filter(None, complaints), "")


def metrics_of(query: str) -> frozenset[str]:
    """The names of the metrics that a query asks for. Raises ValueError when it is not PromQL."""
    return frozenset(_name(s) for s in _selectors(_parsed(query)))


def selectors_of(query: str) -> tuple[str, ...]:
    """Every selector of a query as PromQL text, without range and offset. Raises ValueError."""
    return tuple(dict.fromkeys(_text(s) for s in _selectors(_parsed(query))))


def longest_range_s(query: str) -> float:
    """The longest range or subquery that is written as a number, seconds; 0 without one."""
    ranges = [
        node.range.total_seconds()
        for node in _nodes(_parsed(query))
        if isinstance(node, MatrixSelector | SubqueryExpr) and node.range not in (None, _STAND_IN)
    ]
    return max(ranges, default=0.0)


def filled(query: str, **values: str) -> str:
    """Fill the placeholders; every other dollar (a regex's end) is left as it is."""
    return string.Template(query).safe_substitute(values)


def _parsed(query: str) -> Any:
    return promql_parser.parse(filled(query, **_FILLED))


def _placeholders(query: str) -> str:
    if re.search(r"\$\{|\{\{", query):
        return "has a placeholder in braces, which Argo would take for its own; write $revision"
    for name in re.findall(r"\$([A-Za-z_]\w*)", query):
        if name not in PLACEHOLDERS:
            there = ", ".join(f"${one}" for one in PLACEHOLDERS)
            return f"has ${name}, which nothing fills; write one of {there}"
    return ""


# -- the tree


def _children(node: Any) -> tuple[Any, ...]:
    if isinstance(node, BinaryExpr):
        return (node.lhs, node.rhs)
    if isinstance(node, Call):
        return tuple(node.args)
    if isinstance(node, MatrixSelector):
        return (node.vector_selector,)
    if isinstance(node, AggregateExpr | ParenExpr | UnaryExpr | SubqueryExpr):
        return (node.expr,)
    return ()


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in _children(node):
        yield from _nodes(child)


def _selectors(node: Any) -> Iterator[VectorSelector]:
    return (one for one in _nodes(node) if isinstance(one, VectorSelector))


def _text(selector: VectorSelector) -> str:
    """Without its offset. The parser's own text leaves out the escapes."""
    matchers = (
        f"{m.name}{_SIGNS[str(m.op)]}{_quoted(m.value)}" for m in selector.matchers.matchers
    )
    return f"{selector.name or ''}{{{','.join(matchers)}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _name(selector: VectorSelector) -> str:
    named = [m.value for m in selector.matchers.matchers if m.name == "__name__"]
    return selector.name or (named[0] if named else "")


# -- about one revision


def _unpinned(tree: Any) -> str:
    stray = next(_strays(tree), None)
    if stray is None and not any(_is_pinned(s) for s in _selectors(tree)):
        return "asks for no metric of the candidate; select $revision or $pods"
    if stray is None:
        return ""
    name = _name(stray) or str(stray)
    return (
        f"must select one revision, and {name} does not; "
        f'write e.g. {name}{{serving_knative_dev_revision="$revision"}}'
    )


def _strays(node: Any) -> Iterator[VectorSelector]:
    """Selectors that mix revisions; one that is joined to a pinned one with on(...) does not."""
    if isinstance(node, VectorSelector) and not _is_pinned(node):
        yield node
    joined = isinstance(node, BinaryExpr) and node.modifier and node.modifier.matching
    strays = [list(_strays(child)) for child in _children(node)]
    if joined and any(not found and _has_pin(c) for found, c in _zip(strays, node)):
        return
    for found in strays:
        yield from found


def _zip(strays: list[list[VectorSelector]], node: Any) -> list[tuple[list[VectorSelector], Any]]:
    return list(zip(strays, _children(node), strict=True))


def _has_pin(node: Any) -> bool:
    return any(_is_pinned(selector) for selector in _selectors(node))


def _is_pinned(selector: VectorSelector) -> bool:
    return any(_names_one(m.op, m.value) for m in selector.matchers.matchers)


def _names_one(operator: MatchOp, value: str) -> bool:
    if operator == MatchOp.Equal:
        return any(name in value for name in ABOUT_ONE)
    alternatives = value.split("|")
    named = [any(name in one for name in ABOUT_ONE) for one in alternatives]
    return operator == MatchOp.Re and all(named)


# -- one number


def _several(tree: Any) -> str:
    left = _labels(tree)
    if left is not None and not left:
        return ""
    by = f"one for each {', '.join(sorted(left))}" if left else "one for each pod"
    return f"may give several series for one number ({by}); aggregate them, e.g. sum(...)"


def _labels(node: Any) -> Labels:
    """The labels by which the series of a result may differ; empty: one series, or none."""
    if isinstance(node, AggregateExpr):
        return _aggregated(node)
    if isinstance(node, Call):
        return _called(node)
    if isinstance(node, NumberLiteral):
        return frozenset()
    if isinstance(node, VectorSelector):
        return None
    found = [_labels(child) for child in _children(node)]
    return None if None in found else frozenset[str]().union(*(f for f in found if f))


def _aggregated(node: AggregateExpr) -> Labels:
    operator = node.prettify().split("(")[0].split()[0]
    is_one = isinstance(node.param, NumberLiteral) and node.param.val == 1
    if operator == "count_values" or (operator.endswith("k") and not is_one):
        return None
    if node.modifier is None:
        return frozenset()
    if node.modifier.type == AggModifierType.Without:
        return None
    return frozenset(node.modifier.labels) - _constants(node.expr)


def _constants(node: Any) -> frozenset[str]:
    """Labels with one value in every selector below."""
    fixed = [
        {m.name for m in s.matchers.matchers if m.op == MatchOp.Equal} for s in _selectors(node)
    ]
    return frozenset(set.intersection(*fixed)) if fixed else frozenset()


def _called(node: Call) -> Labels:
    if node.func.name in _WHOLE:
        return frozenset()
    if node.func.name in {"label_replace", "label_join"}:
        return None
    found = [_labels(arg) for arg in node.args if not hasattr(arg, "val")]
    if None in found:
        return None
    left = frozenset[str]().union(*(f for f in found if f))
    return left - {"le"} if node.func.name.startswith("histogram_") else left


# -- metrics that exist


def _unknown(tree: Any, known: frozenset[str]) -> str:
    for name in dict.fromkeys(_name(s) for s in _selectors(tree)):
        if re.match(r"nv_\w+_summary", name):
            return (
                f"asks for {name}: Triton's summaries cost a third of the throughput and cannot be "
                "added over replicas; ask for counters, e.g. the preset triton/mean_ms"
            )
        if name not in KNOWN | known:
            near = get_close_matches(name, KNOWN | known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            return f"asks for {name or 'a metric without a name'}, which no preset knows; {hint}{ADVICE}"
    return ""


ADVICE = "a metric of your own goes into slo.metrics"
