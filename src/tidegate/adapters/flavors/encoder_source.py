"""An encoder as MLflow's transformers flavor keeps it: its weights, its tokenizer, and golden tokens.

Only classes of the library itself are built, from safetensors: no code and no pickle of the version is run,
and no hub is asked.
"""

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters.flavors.conversion import Array, Given
from tidegate.core.routes import encoders
from tidegate.errors import DocumentError, RejectedError

TOKENIZER = "components/tokenizer"
NO_LIMIT = 1_000_000  # a tokenizer without one says 1e30


def model(given: Given) -> Any:
    """The module on the CPU, in FP32 and evaluation mode. Raises RejectedError."""
    task, name = _text(given, "task"), _text(given, "pipeline_model_type")
    adapted = bool(given.conf.get("peft_adaptor"))
    if why := encoders.complaint(task, name, adapted=adapted):
        raise RejectedError(f"{given.what} {why}")
    found = _loaded(given, name, _folder(given, _text(given, "model_binary") or "pipeline"))
    if not _is_encoder(found.config):
        raise RejectedError(
            f"{given.what} is a {name}, a decoder, whose answers hold a cache of what it has read; "
            f"only encoders are converted; {encoders.REMEDY}"
        )
    return found.float().eval()


def _text(given: Given, key: str) -> str:
    return str(given.conf.get(key) or "")


def _folder(given: Given, name: str) -> Path:
    """A folder of the version. Raises RejectedError."""
    folder = given.tree / name
    if not folder.resolve().is_relative_to(given.tree.resolve()) or not folder.is_dir():
        raise RejectedError(
            f"{given.what} has no folder {name} among its files; log it with save_pretrained=True"
        )
    return folder


def _loaded(given: Given, name: str, folder: Path) -> Any:
    import transformers

    kind = getattr(transformers, name, None)
    if kind is None:
        raise RejectedError(
            f"{given.what} is a {name}, which transformers {transformers.__version__} does not have; "
            f"{encoders.REMEDY}"
        )
    transformers.logging.disable_progress_bar()
    try:
        return kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True,
            attn_implementation="eager",
        )  # fmt: skip
    except Exception as error:  # of the library, of safetensors, of the file system
        raise RejectedError(f"{given.what} does not load: {error}; log it again") from error


def _is_encoder(config: Any) -> bool:
    """Whether transformers fills masks with such a model: what reads to the left alone cannot."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    decodes = getattr(config, "is_decoder", False) or getattr(config, "is_encoder_decoder", False)
    return type(config) in MODEL_FOR_MASKED_LM_MAPPING and not decodes


def tokens(given: Given, module: Any) -> dict[str, Array]:
    """Golden token ids and masks in the order of forward(); texts are tokenized. Raises DocumentError."""
    named = given.golden.inputs
    known = tuple(inspect.signature(module.forward).parameters)
    if len(named) == 1 and (only := next(iter(named.values()))).dtype.kind in "OU":
        made = _tokenized(given, only)
        named = {name: made[name] for name in made if name in known}
    strange = [name for name in named if name not in known]
    if strange or "input_ids" not in named:
        raise DocumentError(
            f"{given.golden.source} has inputs {', '.join(map(repr, named))}, the model takes input_ids and, "
            "by its tokenizer, attention_mask and token_type_ids; log those, or one array of texts"
        )
    wrong = next((n for n, a in named.items() if a.ndim != 2 or a.dtype.kind not in "iu"), "")
    if wrong:
        raise DocumentError(
            f"{given.golden.source}: input {wrong} is {named[wrong].dtype} of shape {named[wrong].shape}; "
            "give integers, a row per text"
        )
    return {name: named[name].astype(np.int64) for name in known if name in named}


def _tokenized(given: Given, texts: Array) -> dict[str, Array]:
    """By the version's own tokenizer, padded to the longest. Raises RejectedError."""
    from transformers import AutoTokenizer

    folder = _folder(given, TOKENIZER)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        limit = {"truncation": True} if tokenizer.model_max_length < NO_LIMIT else {}
        found = tokenizer([str(text) for text in texts.reshape(-1)], padding=True, **limit)
        return {name: np.asarray(rows) for name, rows in found.items()}
    except Exception as error:  # a broken file, a tokenizer that cannot pad
        raise RejectedError(
            f"{given.what}: its tokenizer fails on {given.golden.source} ({error}); "
            "log tokens in a golden.npz"
        ) from error
