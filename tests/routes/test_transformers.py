"""Encoders of transformers by ONNX Runtime and OpenVINO: the answers of real Triton are the library's.

Models and their tokenizer are trained here, from nothing: nothing comes from a model hub.
"""

from typing import Any

import numpy as np
import pytest

from tests.routes.conftest import Routed
from tests.routes.test_graphs import BFLOAT16
from tidegate.errors import DocumentError, RejectedError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
]  # fmt: skip
WORDS = (
    "the",
    "model",
    "is",
    "served",
    "by",
    "a",
    "server",
    "that",
    "asks",
    "no",
    "hub",
    "for",
    "words",
)
LABELS = {0: "calm", 1: "glad", 2: "sad"}
LONGEST = 64
SIZES = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "id2label": LABELS, "label2id": {name: n for n, name in LABELS.items()},
    "pad_token_id": 0,
}  # fmt: skip


def texts(count: int, length: int, seed: int) -> list[str]:
    drawn = np.random.default_rng(seed)
    return [" ".join(drawn.choice(WORDS, drawn.integers(1, length))) for _ in range(count)]


def tokenizer() -> Any:
    """Whole words, learned from a few lines."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learned = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    learned.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"])
    learned.train_from_iterator(texts(50, 12, seed=0), trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=learned, pad_token="[PAD]", unk_token="[UNK]", model_max_length=LONGEST,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def trained(kind: str) -> Any:
    """A small model of this class, fitted for some steps to classes that its tokens tell."""
    torch.manual_seed(0)
    found = getattr(transformers, kind)
    behind = 1 if found.config_class is transformers.RobertaConfig else 0  # its padding
    model = found(found.config_class(**SIZES, max_position_embeddings=LONGEST + behind)).train()
    given = {n: torch.from_numpy(a) for n, a in tokens(12, seed=5).items()}
    ids = given["input_ids"]
    truth = ids % 3 if kind.endswith("ForTokenClassification") else ids.sum(dim=1) % 3
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        model(**given, labels=truth).loss.backward()
        optimizer.step()
    return model.eval()


def tokens(length: int, seed: int = 1) -> dict[str, Any]:
    """Ids and masks of 100 texts, padded to the longest."""
    found = tokenizer()(texts(100, length, seed), padding=True, return_tensors="np")
    return {n: found[n].astype(np.int64) for n in ("input_ids", "attention_mask")}


def own_answers(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    with torch.no_grad():
        found = model(**{n: torch.from_numpy(a) for n, a in given.items()})
    return {name: tensor.numpy() for name, tensor in found.items()}


def log(routed: Routed, model: Any, task: str, golden: dict[str, Any]) -> None:
    import mlflow.transformers

    parts = {"model": model, "tokenizer": tokenizer()}
    routed.log(
        lambda one, **given: mlflow.transformers.log_model(one, task=task, **given), parts, golden
    )


def config(routed: Routed) -> str:
    return (routed.release.path("repository") / "digits" / "config.pbtxt").read_text()


def precision(target: str) -> tuple[float, dict[str, Any]]:
    """OpenVINO computes in bfloat16 where the CPU has it."""
    if target != "openvino":
        return 1e-5, {}
    pytest.importorskip("openvino")
    return 5e-2, BFLOAT16


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_a_classifier_of_texts(routed: Routed, target: str) -> None:
    tolerance, policy = precision(target)
    model, ask = trained("BertForSequenceClassification"), tokens(12)
    log(routed, model, "text-classification", ask)
    routed.serves(
        "transformers", target, ask, own_answers(model, ask), "BERT, three classes of texts",
        tolerance=tolerance, policy=policy,
    )  # fmt: skip
    labels = routed.release.path("repository") / "digits" / "labels.txt"
    assert labels.read_text().split() == list(LABELS.values())
    checked = routed.release.document("optimized")["parity"]["checks"]
    assert f"texts of {LONGEST} tokens" in {one["output"] for one in checked}


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_an_embedding_whose_texts_are_longer_than_every_golden_one(
    routed: Routed, target: str
) -> None:
    tolerance, policy = precision(target)
    model, ask = trained("BertForSequenceClassification").bert, tokens(40, seed=2)
    golden = tokens(8)
    assert ask["input_ids"].shape[1] > golden["input_ids"].shape[1]
    log(routed, model, "feature-extraction", golden)
    beyond = {name: np.ones((1, LONGEST + 1), np.int64) for name in ask}
    routed.serves(
        "transformers", target, ask, own_answers(model, ask), "BERT, states of tokens and of texts",
        tolerance=tolerance, policy=policy,
        wrong=beyond if target == "onnxruntime" else {},  # OpenVINO answers it, with anything
    )  # fmt: skip
    checked = routed.release.document("optimized")["parity"]["checks"]
    (told,) = [
        one["message"] for one in checked if one["output"] == f"texts of {LONGEST + 1} tokens"
    ]
    assert ("refused, as by" if target == "onnxruntime" else "answered, which the source") in told
    assert "dims: [-1, 32]" in config(routed)
    assert "max_batch_size: 32" in config(routed)


def test_a_classifier_of_tokens_whose_positions_begin_behind_the_padding(routed: Routed) -> None:
    model, ask = trained("RobertaForTokenClassification"), tokens(12)
    log(routed, model, "token-classification", ask)
    routed.serves(
        "transformers", "onnxruntime", ask, own_answers(model, ask), "RoBERTa, three classes of tokens"
    )  # fmt: skip
    assert "dims: [-1, 3]" in config(routed)


def test_golden_texts_are_made_tokens_by_the_versions_own_tokenizer(routed: Routed) -> None:
    model, asked = trained("DistilBertForSequenceClassification"), texts(100, 12, seed=3)
    log(routed, model, "text-classification", {"text": np.array(asked)})
    made = tokenizer()(asked, padding=True, return_tensors="np")
    ask = {n: made[n].astype(np.int64) for n in ("input_ids", "attention_mask")}
    routed.serves(
        "transformers", "onnxruntime", ask, own_answers(model, ask), "DistilBERT, golden data as texts"
    )  # fmt: skip


def test_an_input_that_the_model_does_not_take_is_refused_with_those_that_it_takes(
    routed: Routed,
) -> None:
    golden = {"words": tokens(5)["input_ids"]}
    log(routed, trained("BertForSequenceClassification"), "text-classification", golden)
    with pytest.raises(
        DocumentError, match=r"the model takes input_ids .*; log those, or one array"
    ):
        routed.steps(optimize={"target": "onnxruntime"})


@pytest.mark.parametrize(
    ("kind", "task", "told"),
    [
        ("GPT2LMHeadModel", "text-generation", "has task text-generation, which is not converted"),
        ("GPT2Model", "feature-extraction", "is a GPT2Model, a decoder, .*only encoders"),
    ],
)
def test_what_writes_text_is_refused_by_its_task_or_class(
    routed: Routed, kind: str, task: str, told: str
) -> None:
    torch.manual_seed(0)
    small = transformers.GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    log(routed, getattr(transformers, kind)(small), task, tokens(5))
    with pytest.raises(RejectedError, match=rf"{told}.*export what you need of it and log that"):
        routed.steps(optimize={"target": "onnxruntime"})
