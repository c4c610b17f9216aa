import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.adapters.model_config_text import from_text, to_text
from tidegate.core.model_config import (
    DATA_TYPES,
    DynamicBatching,
    InstanceGroup,
    ModelConfig,
    ModelTensor,
    Warmup,
    WarmupInput,
)
from tidegate.errors import DocumentError

ANY = st.characters(codec="utf-8")  # protobuf text has no lone surrogates
TEXT = st.text(ANY, max_size=12)
NAMES = st.text(ANY, min_size=1, max_size=12)
TYPES = st.sampled_from(sorted(DATA_TYPES))
DIMS = st.lists(st.integers(-1, 2**31), max_size=4).map(tuple)
COUNTS = st.integers(0, 2**31 - 1)
TENSORS = st.builds(
    ModelTensor, name=NAMES, data_type=TYPES, dims=DIMS, reshape=st.none() | DIMS
)  # fmt: skip


def warmup_input(source: str) -> st.SearchStrategy[WarmupInput]:
    file = NAMES if source == "file" else st.just("")
    return st.builds(WarmupInput, data_type=TYPES, dims=DIMS, source=st.just(source), file=file)


WARMUPS = st.builds(
    Warmup,
    name=NAMES,
    batch_size=COUNTS,
    inputs=st.dictionaries(
        NAMES, st.sampled_from(["zero", "random", "file"]).flatmap(warmup_input), max_size=2
    ),
)
CONFIGS = st.builds(
    ModelConfig,
    name=TEXT,
    backend=TEXT,
    max_batch_size=COUNTS,
    inputs=st.lists(TENSORS, max_size=3).map(tuple),
    outputs=st.lists(TENSORS, max_size=3).map(tuple),
    instance_groups=st.lists(
        st.builds(
            InstanceGroup,
            kind=st.sampled_from(["KIND_AUTO", "KIND_CPU", "KIND_GPU", "KIND_MODEL"]),
            count=COUNTS,
        ),
        max_size=2,
    ).map(tuple),
    dynamic_batching=st.none()
    | st.builds(
        DynamicBatching,
        max_queue_delay_us=st.integers(0, 2**40),
        max_queue_size=COUNTS,
        preferred_batch_size=st.lists(COUNTS, max_size=3).map(tuple),
    ),
    parameters=st.dictionaries(NAMES, TEXT, max_size=3),
    warmup=st.lists(WARMUPS, max_size=2).map(tuple),
    versions=st.lists(st.integers(1, 2**40), max_size=2).map(tuple),
    default_model_filename=TEXT,
)


@given(CONFIGS)
def test_what_is_written_reads_back_the_same(config: ModelConfig) -> None:
    assert from_text(to_text(config), what="config.pbtxt") == config


@given(st.dictionaries(NAMES, TEXT, min_size=2, max_size=5))
def test_equal_configs_are_equal_bytes_whatever_the_order_of_their_maps(
    parameters: dict[str, str],
) -> None:
    def text(entries: dict[str, str]) -> str:
        return to_text(
            ModelConfig(
                name="m", backend="b", max_batch_size=0, inputs=(), outputs=(), parameters=entries
            )
        )

    assert text(parameters) == text(dict(reversed(parameters.items())))


def test_an_empty_reshape_is_kept() -> None:
    label = ModelTensor(name="label", data_type="INT64", dims=(1,), reshape=())
    config = ModelConfig(name="m", backend="b", max_batch_size=8, inputs=(), outputs=(label,))
    assert "reshape {" in to_text(config)


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(DocumentError, match='no field named "bogus"'):
        from_text("bogus: 1", what="config.pbtxt")
