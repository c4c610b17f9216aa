"""The ladder from TensorRT down, really walked on a machine without a GPU: each step with its reason."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.steps.model.networks import convolutions, images
from tests.steps.model.test_load_and_query import SERVER
from tests.steps.model.test_parity_beyond import POLICY, converted, plain
from tidegate.core.ladder import Rung
from tidegate.documents import OutputParity, Parity, Word
from tidegate.errors import RejectedError, UsageError
from tidegate.policy import Policy
from tidegate.steps.stepping_down import served

DIGEST = f"sha256:{'0' * 64}"
ALL = ["onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime"]


def version(release: Any, **optimize: Any) -> None:
    tree = release.onnx_tree(convolutions())
    release.golden(tree, {"X": images(100, seed=1)})
    release.policy["optimize"] = {"target": "tensorrt", **optimize}
    release.fetched("onnx")


def test_without_a_gpu_a_plan_is_refused_with_what_to_do(release: Any) -> None:
    version(release)
    with pytest.raises(UsageError, match=r"TensorRT .*; run optimize in the tensorrt image"):
        release.run("optimize")
    assert not release.path("optimized").exists()


def test_every_rung_is_tried_and_told_down_to_onnx_runtime_on_the_cpu(release: Any) -> None:
    version(release, fallback=ALL)
    result = release.run("optimize")
    assert result["verdict"] == "PASS"
    document = release.document("optimized")
    assert (document["target"], document["backend"]) == ("onnxruntime", "onnxruntime")
    assert [step["wanted"] for step in document["steps_down"]] == ["tensorrt", *ALL[:2]]
    first, second, third = (step["reason"] for step in document["steps_down"])
    assert "TensorRT" in first
    assert "has no TensorrtExecutionProvider, only" in second
    assert "has no CUDAExecutionProvider" in third
    assert "not tensorrt: " in result["reason"]
    assert [p.name for p in sorted(release.path("optimized_model").iterdir())] == [
        "golden.npz", "model.onnx",
    ]  # fmt: skip
    assert release.run("configure")["verdict"] == "PASS"
    repository = release.document("repository_document")
    told = [f["message"] for f in repository["findings"] if f["word"] == "INCONCLUSIVE"]
    assert [one.partition(":")[0] for one in told] == [f"not {r}" for r in ("tensorrt", *ALL[:2])]
    assert repository["gpu"] == ""
    text = (release.path("repository") / "digits" / "config.pbtxt").read_text()
    assert "execution_accelerators" not in text
    assert "KIND_CPU" in text


def test_nothing_below_what_the_policy_names_is_tried(release: Any) -> None:
    version(release, fallback=["onnxruntime-cuda"])
    with pytest.raises(UsageError, match=r"no CUDAExecutionProvider.*\(and not tensorrt: TensorRT"):
        release.run("optimize")


def test_a_model_that_differs_on_every_rung_is_refused_with_all_reasons(release: Any) -> None:
    tree = release.onnx_tree(convolutions())
    wrong = np.zeros((100, 10), np.float32)
    release.golden(tree, {"X": images(100, seed=1)}, {"scores": wrong})
    release.policy["optimize"] = {"target": "tensorrt", "fallback": ["onnxruntime"]}
    release.fetched("onnx")
    result = release.run("optimize")
    assert result["verdict"] == "FAIL"
    assert "output scores: largest difference" in result["reason"]
    assert "not tensorrt: " in result["reason"]
    assert list(release.path("optimized_model").iterdir()) == []


def judging(*words: Word) -> Any:
    """A judge that has these words in turn."""
    left = iter(words)

    def judge(form: Any) -> Parity:
        word = next(left)
        one = OutputParity(output="Y", word=word, compared=1, message=f"Y is {word}")
        return Parity(
            word=word, reference="the source", golden="golden.npz", golden_digest=DIGEST, rows=1,
            outputs=(one,),
        )  # fmt: skip

    return judge


CPU = Rung(name="onnxruntime", target="onnxruntime", backend="onnxruntime")


@pytest.mark.parametrize(
    ("words", "word", "down"),
    [
        ([Word.PASS], Word.PASS, []),
        ([Word.FAIL, Word.PASS], Word.PASS, ["differs from the source: Y is FAIL"]),
        ([Word.FAIL] * 3, Word.FAIL, ["differs from the source: Y is FAIL"] * 2),
        ([Word.INCONCLUSIVE], Word.INCONCLUSIVE, []),
        ([Word.INVALID], Word.INVALID, []),
    ],
)
def test_a_rung_that_answers_otherwise_is_left_and_one_with_too_few_rows_is_not(
    tmp_path: Path, words: list[Word], word: Word, down: list[str]
) -> None:
    policy = Policy.model_validate(POLICY)
    given: Any = SimpleNamespace(folder=tmp_path, policy=policy)
    found = served(given, converted(plain(), plain(), tmp_path), (CPU,) * 3, judging(*words))
    assert found.parity.word is word
    assert [step.reason for step in found.steps_down] == down


def test_operators_that_tensorrt_lacks_are_named_before_a_gpu_is_asked(
    release: Any, digits: Any
) -> None:
    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows})
    release.policy["optimize"] = {"target": "tensorrt"}
    release.fetched("sklearn")
    with pytest.raises(
        RejectedError, match=r"node '\w+' is ai\.onnx\.ml\.\w+, and TensorRT has no"
    ):
        release.run("optimize")
    release.policy["optimize"]["fallback"] = ["onnxruntime"]
    assert release.run("optimize")["verdict"] == "PASS"
    (step,) = release.document("optimized")["steps_down"]
    assert "ai.onnx.ml" in step["reason"]


def test_a_network_of_scikit_learn_has_operators_that_tensorrt_reads(
    release: Any, digits: Any
) -> None:
    from sklearn.neural_network import MLPRegressor

    rows, truth = digits.train
    model = MLPRegressor(hidden_layer_sizes=(8,), tol=10, n_iter_no_change=2, random_state=0).fit(
        rows / 16, truth
    )
    release.golden(release.sklearn_tree(model), {"X": digits.rows / 16})
    release.policy["optimize"] = {"target": "tensorrt"}
    release.fetched("sklearn")
    with pytest.raises(UsageError, match="run optimize in the tensorrt image"):
        release.run("optimize")


@pytest.mark.parametrize("head", [b"", b"no plan of anything, but long enough"])
def test_a_plan_by_hand_that_is_none_is_refused(release: Any, head: bytes) -> None:
    version(release, tensorrt={"plan": "model.plan"})
    (release.path("model_tree") / "model.plan").write_bytes(head)
    release.fetched("onnx")
    with pytest.raises(RejectedError, match=r"model\.plan is no TensorRT plan"):
        release.run("optimize")


def test_a_plan_by_hand_of_another_tensorrt_is_refused_without_a_gpu(release: Any) -> None:
    version(release, tensorrt={"plan": "model.plan"})
    (release.path("model_tree") / "model.plan").write_bytes(plan(10, 3, 0, 26))
    release.fetched("onnx")
    with pytest.raises(
        RejectedError, match=r"the plan is of TensorRT 10\.3\.0\.26, the serving image has 10\.7\.0"
    ):
        release.run("optimize")
    release.policy["serving"] = {"runtime": "their-own"}
    with pytest.raises(RejectedError, match=r"not known; write triton\.tensorrt"):
        release.run("optimize")
    release.policy["triton"] = {"tensorrt": "10.3.0"}
    with pytest.raises(
        UsageError, match="no GPU is here"
    ):  # the version is right: it is asked next
        release.run("optimize")


def plan(*version: int) -> bytes:
    """The head that trtexec reads, and some body."""
    return b"ftrt" + bytes(20) + bytes(version) + bytes(100)


@pytest.mark.real
def test_the_fallback_is_served_by_the_real_triton(
    release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", SERVER)
    version(release, fallback=["onnxruntime"])
    release.policy["triton"] = {"load_and_query": "always"}
    assert release.run("optimize")["verdict"] == "PASS"
    assert release.run("configure")["verdict"] == "PASS"
    findings = release.document("repository_document")["findings"]
    assert "100 golden rows answered" in findings[-1]["message"]
