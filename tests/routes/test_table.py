"""The table of routes by itself: every flavor has a word on every target, and the record knows no other."""

from typing import Any, get_args

import pytest

from tests.routes import page, record
from tidegate.adapters.source_model import MODULES, require_installed
from tidegate.core.onnx_versions import pinned
from tidegate.core.routes import FLAVORS, ROUTES, choose, encoders, flavor_of
from tidegate.errors import DocumentError, UsageError
from tidegate.policy import Optimize, Policy

TARGETS = get_args(Optimize.model_fields["target"].annotation)


def policy(target: str = "onnxruntime", **more: Any) -> Policy:
    model = {"uri": "models:/m/1", **more}
    return Policy.model_validate({"name": "m", "model": model, "optimize": {"target": target}})


def test_every_flavor_has_one_word_on_every_target() -> None:
    assert sorted((r.flavor, r.target) for r in ROUTES) == sorted(
        (flavor, target) for flavor in FLAVORS for target in TARGETS
    )
    assert set(MODULES) == {route.flavor for route in ROUTES if route.backend}


def test_a_route_either_has_a_backend_or_a_reason_with_a_remedy() -> None:
    for route in ROUTES:
        assert bool(route.backend) != bool(route.refused), route
        assert not route.refused or " write " in route.refused, route


def test_the_record_is_of_routes_that_there_are() -> None:
    served = {page.key(route) for route in ROUTES if route.backend}
    assert set(record.load()) <= served
    for models in record.load().values():
        assert all(one["rows"] >= 100 for one in models)


def test_a_refused_route_says_why_and_what_to_write() -> None:
    with pytest.raises(
        DocumentError, match=r"m 1: flavor sklearn cannot become optimize.target openvino"
    ):
        choose("sklearn", policy("openvino"), what="m 1")
    with pytest.raises(DocumentError, match=r"ai\.onnx\.ml operators"):
        choose("xgboost", policy("openvino"), what="m 1")


def test_some_flavor_reaches_every_target() -> None:
    assert {route.target for route in ROUTES if route.backend} == set(TARGETS)


def test_trees_have_no_plan_and_networks_do() -> None:
    for flavor in ("xgboost", "lightgbm"):
        with pytest.raises(DocumentError, match=r"ai\.onnx\.ml operators, which TensorRT does not"):
            choose(flavor, policy("tensorrt"), what="m 1")
    for flavor in ("onnx", "pytorch", "sklearn"):
        route = choose(flavor, policy("tensorrt"), what="m 1")
        assert (route.backend, route.needs) == ("tensorrt", "a GPU and TensorRT")


def test_code_needs_the_policys_word() -> None:
    with pytest.raises(DocumentError, match=r"set model\.allow_code: true"):
        choose("python_function", policy("native"), what="m 1")
    route = choose("python_function", policy("native", allow_code=True), what="m 1")
    assert route.backend == "python"


def test_a_graph_is_preferred_to_its_wrappers() -> None:
    assert flavor_of(["python_function", "xgboost"]) == "xgboost"
    assert flavor_of(["sklearn", "onnx"]) == "onnx"
    assert flavor_of(["spark"]) is None


@pytest.mark.parametrize(
    ("task", "kind", "adapted", "told"),
    [
        ("text-classification", "BertForSequenceClassification", False, ""),
        ("feature-extraction", "RobertaModel", False, ""),
        ("text-generation", "GPT2LMHeadModel", False, "has task text-generation, which is not converted"),
        ("", "BertModel", False, "has task of no name"),
        ("ner", "BertForSequenceClassification", False, "answered by a class named ...ForTokenClass"),
        ("feature-extraction", "BertModel", True, "merge it"),
    ],
)  # fmt: skip
def test_only_a_task_whose_answer_has_a_fixed_form_is_converted(
    task: str, kind: str, adapted: bool, told: str
) -> None:
    found = encoders.complaint(task, kind, adapted=adapted)
    assert told in found
    assert bool(told) == bool(found)


def test_a_texts_classes_are_named_in_the_order_of_its_scores_and_a_tokens_are_not() -> None:
    names = {n: f"class {n}" for n in range(11)}
    assert encoders.labels("text-classification", names) == tuple(names.values())
    assert encoders.labels("token-classification", names) == ()


@pytest.mark.parametrize("precision", ["int8", "fp8", "fp16", "bf16"])
def test_a_precision_is_for_who_reads_a_graph(precision: Any) -> None:
    wanted = policy("native", allow_code=True)
    wanted = wanted.model_copy(update={"optimize": Optimize(target="native", precision=precision)})
    with pytest.raises(DocumentError, match=f"{precision} is for target onnxruntime or tensorrt"):
        choose("lightgbm", wanted, what="m 1")


def test_a_missing_package_is_named_with_the_extra_that_brings_it() -> None:
    from dataclasses import replace

    route = choose("lightgbm", policy("native"), what="m 1")
    absent = replace(route, modules=("no_such_package",))
    with pytest.raises(UsageError, match=r"no_such_package is not installed, which flavor lightgbm .*"
                       r"pip install 'tidegate\[lightgbm,trees\]'"):  # fmt: skip
        require_installed(absent, what="m 1")


@pytest.mark.parametrize(
    ("optimize", "triton", "expected"),
    [
        ({}, (2, 51), (18, 10)),
        ({}, (2, 34), (18, 9)),  # 23.05 reads IR 9
        ({"opset": 20}, (2, 34), (20, 9)),  # said by hand: the linter refuses it
        ({"max_ir_version": 8}, (2, 51), (18, 8)),
        ({}, (1, 0), (18, 10)),
    ],
)
def test_opset_and_ir_are_no_newer_than_the_target_reads_unless_the_policy_says_so(
    optimize: dict[str, Any], triton: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert pinned(Optimize.model_validate(optimize), triton) == expected
