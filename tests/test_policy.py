"""What a user may write into policy.yaml, and what each mistake is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate.adapters.files import parse_policy, read_policy
from tidegate.errors import DocumentError
from tidegate.policy import Policy, Traffic

SMALLEST: dict[str, Any] = {"name": "digits", "model": {"uri": "models:/digits@candidate"}}


def policy(**changes: Any) -> Policy:
    return parse_policy(yaml.safe_dump(SMALLEST | changes), what="policy.yaml")


def test_a_name_and_a_model_are_enough() -> None:
    assert policy().traffic.steps == (10, 50, 90, 100)
    assert policy().initial == "preview"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"trafic": {}}, "trafic: no such field"),
        ({"model": {}}, "model.uri: is required"),
        ({"model": {"uri": "digits"}}, "models:/name@alias"),
        ({"name": "Digits_1"}, "name = 'Digits_1'"),
        ({"name": "d" * 47}, "at most 46"),
        ({"traffic": {"steps": [10, 50]}}, "must end in 100"),
        ({"traffic": {"steps": [50, 10, 100]}}, "must rise"),
        ({"traffic": {"steps": [0, 100]}}, "must rise from at least 1"),
        ({"traffic": {"steps": [10, "50", 100]}}, "traffic.steps.1 = '50'"),
        ({"traffic": {"bake_s": 60, "max_bake_s": 30}}, "max_bake_s 30 is below bake_s 60"),
        ({"slo": {"objectives": [{"kind": "latency", "limit_ms": -5}]}}, "limit_ms = -5"),
        ({"slo": {"objectives": [{"kind": "latencies", "limit_ms": 5}]}}, "slo.objectives.0"),
        (
            {"slo": {"objectives": [{"kind": "promql", "name": "x", "query": "up", "limit": 1}]}},
            "$revision",
        ),
        ({"load": {"rate_rps": 0}}, "load.rate_rps = 0"),
        ({"load": {"rate_rps": float("nan")}}, "load.rate_rps"),
        ({"parity": {"default": {"min_agreement": 1.5}}}, "parity.default.min_agreement = 1.5"),
        ({"serving": {"min_replicas": -1}}, "serving.min_replicas = -1"),
        ({"serving": {"min_replicas": 0}}, "min_replicas 0 is Knative's autoscaler's to do"),
        ({"optimize": {"target": "coreml"}}, "optimize.target = 'coreml'"),
        ({"version": 2}, "version = 2"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_field_and_the_value(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        policy(**changes)
    assert named in str(refused.value)
    assert str(refused.value).startswith("policy.yaml: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "just words"])
def test_text_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match=r"policy\.yaml"):
        parse_policy(text, what="policy.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"nowhere\.yaml"):
        read_policy(tmp_path / "nowhere.yaml")


def test_the_effective_policy_reads_back_as_itself(tmp_path: Path) -> None:
    whole = policy(serving={"args": ["--log-verbose=1"]})
    path = tmp_path / "policy.json"
    path.write_text(whole.model_dump_json())
    assert read_policy(path) == whole


def test_the_demo_policy_is_valid() -> None:
    assert read_policy(Path(__file__).parents[1] / "examples/digits/policy.yaml").name == "digits"


@given(st.lists(st.integers(-5, 105), max_size=6))
def test_accepted_steps_always_rise_to_100(steps: list[int]) -> None:
    try:
        accepted = Traffic.model_validate({"steps": steps}).steps
    except ValueError:
        return
    assert accepted[-1] == 100
    assert all(a < b for a, b in zip((0, *accepted), accepted, strict=False))
