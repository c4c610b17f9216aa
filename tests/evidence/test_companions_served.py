"""The models beside the candidate, asked their own golden rows as they are served."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evidence.conftest import Serve, deployment, policy
from tidegate.documents import Deployment, Finding, RepositoryModel, Tensor, Word
from tidegate.steps.load_companions import companion_findings


def beside(**changes: Any) -> Deployment:
    """A candidate with a model `other` beside it."""
    told = {"name": "other", "role": "beside", "backend": "onnxruntime", "version": "2"}
    rest = {"source": "other version 2", "digest": "d"}
    inputs = (Tensor(name="x", dtype="FP32", shape=(-1, 2)),)
    one = RepositoryModel.model_validate(told | rest | {"inputs": inputs} | changes)
    whole = deployment()
    return whole.model_copy(
        update={"repository": whole.repository.model_copy(update={"models": (one,)})}
    )


@pytest.fixture
def tree(golden_tree: Path) -> Path:
    """The companion's golden rows, where optimize puts them."""
    folder = golden_tree / "companions" / "other"
    folder.mkdir(parents=True)
    x = np.random.default_rng(7).normal(size=(100, 2)).astype(np.float32)
    label = (x.sum(axis=1) > 0).astype(np.int64)
    arrays = {"input.x": x, "output.label": label, "output.score": 2 * x}
    np.savez(folder / "golden.npz", **arrays)
    return golden_tree


def found(tree: Path, **changes: Any) -> Finding:
    (one,) = companion_findings(beside(**changes), policy(), tree)
    assert one.name == "other beside it"
    return one


def test_one_that_answers_as_its_source_passes(serve: Serve, tree: Path) -> None:
    serve(candidate={})
    assert (found(tree).word, found(tree).message) == (
        Word.PASS, "other (other version 2): golden rows as by its source",
    )  # fmt: skip


def test_one_that_answers_otherwise_fails_by_its_name(serve: Serve, tree: Path) -> None:
    serve(candidate={"wrong_every": 4})
    one = found(tree)
    assert (one.word, one.blocking) == (Word.FAIL, True)
    assert "other (other version 2): answered otherwise: output label: 0.7500" in one.message


@pytest.mark.parametrize(
    ("how", "said"),
    [({"error_every": 9}, "was not answered"), ({"version": "7"}, "version 7 answered for 2")],
)
def test_one_that_does_not_answer_every_row_as_itself_is_invalid(
    serve: Serve, tree: Path, how: dict[str, Any], said: str
) -> None:
    serve(candidate=how)
    one = found(tree)
    assert (one.word, one.blocking) == (Word.INVALID, True)
    assert said in one.message


def test_what_is_not_compared_is_said_and_stops_nothing(golden_tree: Path) -> None:
    one = found(golden_tree)
    assert (one.word, one.blocking) == (Word.INCONCLUSIVE, False)
    assert one.message == "other: it has no golden data; deploy asked it a row of zeros"
    assert found(golden_tree, unasked="its transactions are decoupled").message == (
        "other: not asked: its transactions are decoupled"
    )


def test_behind_a_transformer_in_the_pod_nobody_reaches_it(golden_tree: Path) -> None:
    transformed = policy(
        serving={"transformer": {"image": "registry.example.com/t@sha256:1", "port": 8081}},
        load={"capture": "captured.jsonl"},
    )
    (one,) = companion_findings(beside(), transformed, golden_tree)
    assert one.message == "other: not asked: the pod's one port is its transformer's"


def test_without_any_there_is_nothing_to_say(golden_tree: Path) -> None:
    assert companion_findings(deployment(), policy(), golden_tree) == []
