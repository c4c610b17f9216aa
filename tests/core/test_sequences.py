"""triton.sequence_batching and triton.version_policy of a policy, in the words of ModelConfig."""

from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.adapters.model_config_text import from_text, to_text
from tidegate.core.lint import Graph, Repository, Server, lint
from tidegate.core.model_config import ModelConfig, build
from tidegate.documents import Tensor
from tidegate.errors import DocumentError
from tidegate.policy import Triton

SIGNALS = {"start": "START", "ready": "READY", "end": "END", "correlation_id": "ID"}
INPUTS = tuple(
    Tensor(name=name, dtype=dtype, shape=(-1, width))
    for name, dtype, width in (
        ("X", "FP32", 2), ("START", "INT32", 1), ("READY", "BOOL", 1), ("END", "FP32", 1),
        ("ID", "UINT64", 1), ("MEMORY", "FP32", 3),
    )
)  # fmt: skip
OUTPUTS = (
    Tensor(name="Y", dtype="FP32", shape=(-1, 2)),
    Tensor(name="KEPT", dtype="FP32", shape=(-1, 3)),
)
WHOLE = {"signals": SIGNALS, "states": {"MEMORY": "KEPT"}}


def built(written: str = "", **triton: Any) -> ModelConfig:
    return build(
        name="m", backend="onnxruntime", inputs=INPUTS, outputs=OUTPUTS,
        wanted=Triton.model_validate({"max_batch_size": 4} | triton), shapes={},
        written=from_text(written, what="triton.config") if written else None,
    )  # fmt: skip


def test_what_the_server_fills_in_and_keeps_is_nothing_that_a_client_sends_or_gets() -> None:
    config = built(sequence_batching=WHOLE)
    assert [t.name for t in config.input] == ["X"]
    assert [t.name for t in config.output] == ["Y"]
    assert config.dynamic_batching is None
    assert config.model_warmup == ()


def test_each_signal_and_state_is_of_its_tensors_own_type() -> None:
    text = to_text(built(sequence_batching=WHOLE))
    sequence = text[text.index("sequence_batching") :].replace("\n", " ")
    for wanted in (
        "int32_false_true: [0, 1]", "bool_false_true: [false, true]", "fp32_false_true: [0.0, 1.0]",
        "kind: CONTROL_SEQUENCE_CORRID       data_type: TYPE_UINT64", 'input_name: "MEMORY"',
        'output_name: "KEPT"', "zero_data: true", "max_sequence_idle_microseconds: 1000000",
    ):  # fmt: skip
        assert wanted in sequence, sequence
    assert from_text(text, what="config.pbtxt") == built(sequence_batching=WHOLE)


def test_the_oldest_strategy_takes_as_many_sequences_as_a_batch_has_rows_unless_it_is_said() -> (
    None
):
    for said, candidates in ({}, 4), ({"max_candidates": 64}, 64):
        found = built(sequence_batching={"strategy": "oldest", **said}).sequence_batching
        assert found
        assert found.oldest
        assert found.oldest.max_candidate_sequences == candidates
        assert found.direct is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"signals": {"start": "NOPE"}}, "'NOPE' is no input of the graph; it has X, START"),
        ({"signals": {"start": "ID"}}, "'ID' is TYPE_UINT64; Triton sends INT32, FP32 or BOOL"),
        ({"signals": {"correlation_id": "END"}}, "'END' is TYPE_FP32; Triton sends a 32 or 64 bit"),
        ({"signals": {"start": "X"}}, "'X' has dims [2]; Triton sends [1]"),
        ({"states": {"MEMORY": "Y"}}, "state 'MEMORY' is TYPE_FP32 [3], 'Y' is TYPE_FP32 [2]"),
        ({"states": {"MEMORY": "NOPE"}}, "'NOPE' is no output of the graph; it has Y, KEPT"),
    ],
)
def test_what_does_not_fit_the_graph_is_one_line(said: dict[str, Any], words: str) -> None:
    with pytest.raises(DocumentError) as refused:
        built(sequence_batching=said)
    assert str(refused.value).startswith("triton.sequence_batching: ")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"sequence_batching": {}, "max_queue_delay_us": 5},
            "max_queue_delay_us is of the dynamic",
        ),
        ({"sequence_batching": {"max_candidates": 4}}, "max_candidates is of strategy oldest"),
        ({"sequence_batching": {"signals": {"start": "S", "end": "S"}}}, "'S' is named twice"),
        ({"sequence_batching": {"states": {"A": "C", "B": "C"}}}, "'C' is named twice"),
        ({"version_policy": {}}, "say one of latest: 1, specific: "),
        ({"version_policy": {"latest": 1, "all": True}}, "say one of latest: 1, specific: "),
    ],
)
def test_what_a_policy_says_twice_or_not_at_all_is_refused(said: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Triton.model_validate(said)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"latest": 2}, "latest {\n    num_versions: 2"),
        ({"specific": [7, 8]}, "specific {\n    versions: [7, 8]"),
        ({"all": True}, "all {"),
    ],
)
def test_a_version_policy_is_written_as_it_is_said(said: Any, text: str) -> None:
    assert text in to_text(built(version_policy=said))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("dynamic_batching { }", "has the dynamic batcher, in whose place"),
        ("version_policy { all { } }", "version_policy"),
    ],
)
def test_what_is_written_by_hand_does_not_contradict_it(written: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        built(written, sequence_batching=WHOLE, version_policy={"latest": 1})


def test_lint_takes_the_graph_with_its_signals_and_states() -> None:
    graph = Graph(inputs=INPUTS, outputs=OUTPUTS, opset=18, ir_version=9)
    server = Server(version=(2, 51))
    whole = Repository(
        config=built(sequence_batching=WHOLE), folder="m", versions=(1,), server=server, graph=graph
    )
    assert {f.name for f in lint(whole) if f.word.value != "PASS"} == set()
    without = built(sequence_batching={"signals": SIGNALS})
    assert "MEMORY" in str([t.name for t in without.input])
