import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.adapters.model_config_text import from_text, to_message, to_text
from tidegate.core.model_config import (
    ModelConfig,
    ModelInput,
    ModelOutput,
    ModelParameter,
    ModelTensorReshape,
)
from tidegate.core.model_config.whole import All, ModelVersionPolicy
from tidegate.errors import DocumentError

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)  # protobuf text has no lone surrogates
ONEOFS = (
    {"latest", "all_", "specific"},
    {"dynamic_batching", "sequence_batching", "ensemble_scheduling"},
    {"direct", "oldest"},
    {"zero_data", "random_data", "input_data_file"},
    {"zero_data", "data_file"},
)


def descriptor_of(kind: type) -> Any:
    """The message that a class stands for, found by the path from ModelConfig to it."""
    return dict(walked(ModelConfig, to_message(ModelConfig()).DESCRIPTOR))[kind]


def walked(kind: type, descriptor: Any) -> "list[tuple[type, Any]]":
    found = [(kind, descriptor)]
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = classes_in(hints[field.name])
        message = descriptor.fields_by_name[field.name.rstrip("_")].message_type
        if message and message.GetOptions().map_entry:
            message = message.fields_by_name["value"].message_type
        found += [pair for one in inner for pair in walked(one, message)]
    return found


def classes_in(hint: Any) -> list[type]:
    if dataclasses.is_dataclass(hint):
        return [typing.cast("type", hint)]
    return [found for one in typing.get_args(hint) for found in classes_in(one)]


PAIRS = walked(ModelConfig, to_message(ModelConfig()).DESCRIPTOR)


@pytest.mark.parametrize("kind", [kind for kind, _ in PAIRS], ids=lambda kind: kind.__name__)
def test_every_field_of_the_message_has_its_own_and_no_other(kind: type) -> None:
    ours = {field.name.rstrip("_") for field in dataclasses.fields(kind)}
    assert ours == {field.name for field in descriptor_of(kind).fields}


def integers(descriptor: Any) -> st.SearchStrategy[int]:
    low, high = {
        descriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
        descriptor.TYPE_UINT32: (0, 2**32 - 1),
        descriptor.TYPE_UINT64: (0, 2**64 - 1),
        descriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    }[descriptor.type]
    return st.integers(low, high)


def one_of(descriptor: Any) -> st.SearchStrategy[Any]:
    """Any value of a scalar field."""
    if descriptor.enum_type:
        return st.sampled_from([value.name for value in descriptor.enum_type.values])
    if descriptor.cpp_type == descriptor.CPPTYPE_STRING:
        return TEXT
    if descriptor.cpp_type == descriptor.CPPTYPE_BOOL:
        return st.booleans()
    if descriptor.cpp_type in (descriptor.CPPTYPE_FLOAT, descriptor.CPPTYPE_DOUBLE):
        whole = st.floats(allow_nan=False, allow_infinity=False)
        single = st.floats(width=32, allow_nan=False, allow_infinity=False)
        return single if descriptor.cpp_type == descriptor.CPPTYPE_FLOAT else whole
    return integers(descriptor)


def value_of(hint: Any, descriptor: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(hint) is Mapping:
        key, value = (descriptor.message_type.fields_by_name[n] for n in ("key", "value"))
        inner = value_of(typing.get_args(hint)[1], value)
        return st.dictionaries(one_of(key), inner, max_size=2)
    if typing.get_origin(hint) is tuple:
        return st.lists(value_of(typing.get_args(hint)[0], descriptor), max_size=2).map(tuple)
    if isinstance(hint, types.UnionType):
        return st.none() | value_of(typing.get_args(hint)[0], descriptor)
    if dataclasses.is_dataclass(hint):
        return any_of(typing.cast("type", hint), descriptor.message_type)
    return one_of(descriptor)


def any_of(kind: type, descriptor: Any) -> st.SearchStrategy[Any]:
    """Any value of a class: few fields at a time, and at most one of each oneof."""
    hints, fields = typing.get_type_hints(kind), descriptor.fields_by_name
    names = [field.name for field in dataclasses.fields(kind)]
    optional = {name: _later(hints[name], fields[name.rstrip("_")]) for name in names}
    chosen = st.lists(st.sampled_from(names), max_size=4, unique=True) if names else st.just([])
    return chosen.map(without_rivals).flatmap(
        lambda some: st.builds(kind, **{name: optional[name] for name in some})
    )


def _later(hint: Any, descriptor: Any) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: value_of(hint, descriptor))


def without_rivals(names: list[str]) -> list[str]:
    kept: list[str] = []
    for name in names:
        rivals = set().union(*(group - {name} for group in ONEOFS if name in group))
        if not rivals & set(kept):
            kept.append(name)
    return kept


CONFIGS = any_of(ModelConfig, to_message(ModelConfig()).DESCRIPTOR)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(CONFIGS)
def test_text_to_message_to_text_is_the_identity(config: ModelConfig) -> None:
    text = to_text(config)
    assert from_text(text, what="config.pbtxt") == config
    assert to_text(from_text(text, what="config.pbtxt")) == text


@given(st.dictionaries(TEXT, TEXT, min_size=2, max_size=5))
def test_equal_configs_are_equal_bytes_whatever_the_order_of_their_maps(
    parameters: dict[str, str],
) -> None:
    def text(entries: list[tuple[str, str]]) -> str:
        named = {key: ModelParameter(string_value=value) for key, value in entries}
        return to_text(ModelConfig(name="m", backend="b", parameters=named))

    assert text([*parameters.items()]) == text([*reversed(parameters.items())])


def test_an_empty_reshape_is_kept() -> None:
    label = ModelOutput(name="label", dims=(1,), reshape=ModelTensorReshape())
    assert "reshape {" in to_text(ModelConfig(name="m", output=(label,)))


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(DocumentError, match='no field named "bogus"'):
        from_text("bogus: 1", what="config.pbtxt")


def test_an_unknown_value_of_an_enum_is_refused_with_those_it_has() -> None:
    odd = ModelInput(name="x", data_type="TYPE_COMPLEX64")
    with pytest.raises(
        DocumentError, match=r"data_type is 'TYPE_COMPLEX64'; use one of .*TYPE_BOOL"
    ):
        to_text(ModelConfig(name="m", input=(odd,)))


def test_two_policies_for_the_versions_are_refused() -> None:
    text = "version_policy { latest { num_versions: 1 } all { } }"
    with pytest.raises(DocumentError, match="latest"):
        from_text(text, what="config.pbtxt")
    alone = from_text("version_policy { all { } }", what="config.pbtxt")
    assert alone.version_policy == ModelVersionPolicy(all_=All())
