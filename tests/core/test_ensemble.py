"""Models in a row as one: which tensor goes where."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.core import lint
from tidegate.core.model_config import Member, ModelConfig, ModelInput, ModelOutput, ensemble
from tidegate.errors import DocumentError
from tidegate.policy import Policy


def model(name: str, inputs: dict[str, int], outputs: dict[str, int], size: int = 8) -> Member:
    """Tensors of FP32 by name and width."""
    config = ModelConfig(
        name=name,
        backend="onnxruntime",
        max_batch_size=size,
        input=tuple(
            ModelInput(name=n, data_type="TYPE_FP32", dims=(w,)) for n, w in inputs.items()
        ),
        output=tuple(
            ModelOutput(name=n, data_type="TYPE_FP32", dims=(w,)) for n, w in outputs.items()
        ),
    )
    return Member(config=config, version=3)


SCALER = model("scaler", {"raw": 4}, {"variable": 4}, size=16)
NET = model("net", {"X": 4}, {"scores": 3, "features": 9})
POST = model("post", {"scores": 3}, {"names": 1})


def built(*members: Member, **outputs: str) -> ModelConfig:
    return ensemble("whole", members, outputs=outputs, metric_tags={})


def maps(config: ModelConfig) -> list[tuple[dict[str, str], dict[str, str]]]:
    assert config.ensemble_scheduling is not None
    return [(dict(s.input_map), dict(s.output_map)) for s in config.ensemble_scheduling.step]


def complaints(config: ModelConfig, *members: Member) -> list[str]:
    """What the linter's own rules for ensembles say."""
    checked = lint.Repository(
        config=config,
        folder="whole",
        versions=(1,),
        server=lint.Server(version=(2, 51)),
        others={member.config.name: member.config for member in members},
    )
    return [found.message for found in lint.lint(checked) if found.word != "PASS"]


def test_one_output_goes_to_the_one_input_after_it_and_equal_names_find_each_other() -> None:
    config = built(SCALER, NET, POST)
    assert maps(config) == [
        ({"raw": "raw"}, {"variable": "scaler.variable"}),
        ({"X": "scaler.variable"}, {"scores": "net.scores", "features": "features"}),
        ({"scores": "net.scores"}, {"names": "names"}),
    ]
    assert [t.name for t in config.input] == ["raw"]
    assert [t.name for t in config.output] == ["features", "names"]
    assert config.max_batch_size == 8
    assert config.ensemble_scheduling is not None
    assert {step.model_version for step in config.ensemble_scheduling.step} == {3}
    assert complaints(config, SCALER, NET, POST) == []


def test_outputs_that_the_policy_names_are_the_only_ones_whether_a_step_takes_them_or_not() -> None:
    config = built(SCALER, NET, POST, label="post.names", raw_scores="net.scores")
    assert {t.name: t.dims for t in config.output} == {"label": (1,), "raw_scores": (3,)}
    assert maps(config)[1] == ({"X": "scaler.variable"}, {"scores": "raw_scores"})
    assert complaints(config, SCALER, NET, POST) == []


def test_an_ensemble_has_the_tags_by_which_the_released_model_is_counted() -> None:
    tags = {"release": "r42"}
    assert ensemble("whole", (SCALER, NET), outputs={}, metric_tags=tags).metric_tags == tags


def test_an_input_that_no_step_makes_is_asked_of_the_client() -> None:
    two = model("net", {"X": 4, "mask": 4}, {"scores": 3})
    config = built(SCALER, replace(two, inputs={"X": "scaler.variable"}))
    assert [t.name for t in config.input] == ["raw", "mask"]


@pytest.mark.parametrize(
    ("members", "outputs", "told"),
    [
        ((replace(SCALER, inputs={"no": "raw"}), NET), {}, "scaler has no input 'no'; it has raw"),
        (
            (SCALER, replace(NET, inputs={"X": "scaler.no"})),
            {},
            "net takes X from 'scaler.no', which no step before it makes; they make scaler.variable",
        ),
        ((SCALER, NET), {"y": "net.no"}, "'net.no' is made by no step"),
        ((SCALER, NET), {"raw": "net.scores"}, "'raw' is an input of the ensemble, too"),
        ((SCALER, NET), {"y": "net.scores", "z": "net.scores"}, "'net.scores' has two names"),
        ((model("a", {"X": 4}, {"X": 4}), model("b", {"X": 4}, {"X": 4})), {}, "'X' would be two"),
    ],
)
def test_a_tensor_that_nothing_makes_is_named_with_those_that_there_are(
    members: tuple[Member, ...], outputs: dict[str, str], told: str
) -> None:
    with pytest.raises(DocumentError, match=told):
        built(*members, **outputs)


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        ({"models": [{"name": "a"}]}, "a: set either uri or code"),
        ({"models": [{"name": "a", "uri": "models:/a/1", "inputs": {"x": "y"}}]}, "drop them"),
        ({"models": [{"name": "a", "uri": "models:/a/1"}] * 2}, "'a' is there twice"),
        ({"models": [{"name": "m", "uri": "models:/a/1"}]}, "'m' is the released model's name"),
        ({"outputs": {"y": "m.y"}}, "inputs and outputs are an ensemble's"),
        ({"models": [{"name": "a", "code": "../x"}]}, "without .."),
        ({"models": [{"name": "a", "uri": "models:/a/1", "golden": "../x"}]}, "without .."),
        ({"models": [{"name": "a", "uri": "a@champion"}]}, "write models:/name@alias"),
    ],
)
def test_a_repository_that_contradicts_itself_is_refused_with_the_policy(
    repository: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        Policy.model_validate(
            {"name": "m", "model": {"uri": "models:/m/1"}, "repository": repository}
        )


def test_clients_ask_the_ensemble_by_the_services_name() -> None:
    pre = {"name": "scaler", "uri": "models:/s/1", "role": "pre"}
    base = {"name": "m", "model": {"uri": "models:/m/1"}}
    whole = Policy.model_validate(base | {"repository": {"models": [pre]}})
    beside = Policy.model_validate(base | {"repository": {"models": [pre | {"role": "beside"}]}})
    assert (whole.triton_model, whole.main_model) == ("m", "m-model")
    assert (beside.triton_model, beside.main_model) == ("m", "m")
