"""What is tuned: a repository folder as configure writes it, or a model version that becomes one first."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.adapters import files, golden_data, model_config_text
from tidegate.adapters.golden_data import Golden
from tidegate.core.model_config import ModelConfig
from tidegate.documents import ModelRepository, Refusal
from tidegate.errors import DocumentError, NotPromotedError, UsageError
from tidegate.policy import Policy
from tidegate.steps.execution import execute
from tidegate.steps.registry import steps

LEAST_ROWS = 2  # one for the search, one that it has not seen
BEFORE = ("resolve", "fetch", "optimize", "configure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A repository on disk, its config as written, and rows to ask it for."""

    repository: Path
    config: ModelConfig
    golden: Golden
    policy: Policy


def from_repository(repository: Path, golden: Path, policy: Policy) -> Source:
    """Read a folder that holds one model. Raises UsageError or DocumentError."""
    if not repository.is_dir():
        raise UsageError(
            f"--repository {repository}: no such folder; name one that configure wrote"
        )
    configs = sorted(repository.glob("*/config.pbtxt"))
    if len(configs) != 1:
        raise UsageError(
            f"--repository {repository}: {len(configs)} of its folders hold a config.pbtxt, and one must; "
            "tune a repository with one model"
        )
    config = model_config_text.from_text(files.read_text(configs[0]), what=str(configs[0]))
    rows = golden_data.read(golden, what=str(golden))
    _require(config, rows, str(golden))
    name = config.name or configs[0].parent.name
    from dataclasses import replace

    return Source(
        repository=repository, config=replace(config, name=name), golden=rows, policy=policy
    )


def _require(config: ModelConfig, rows: Golden, what: str) -> None:
    if config.ensemble_scheduling or config.sequence_batching:
        kind = "an ensemble" if config.ensemble_scheduling else "a sequence model"
        raise DocumentError(
            f"{config.name} is {kind}, which has no dynamic batching; tune the models that it is made of"
        )
    missing = [tensor.name for tensor in config.input if tensor.name not in rows.inputs]
    if missing:
        raise DocumentError(
            f"golden file {what} has no input.{missing[0]}, which {config.name} needs; add it"
        )
    if rows.rows < LEAST_ROWS:
        raise DocumentError(
            f"golden file {what} has {rows.rows} row(s); give at least {LEAST_ROWS}, so that the winner is "
            "measured on rows that the search has not seen"
        )


@contextlib.contextmanager
def from_policy(policy: str, model_uri: str) -> Iterator[Source]:
    """Fetch, convert and configure a model version into a folder that is gone afterwards.

    Raises what those steps raise, and NotPromotedError when one of them refuses.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for step in BEFORE:
            _run(step, folder, policy, model_uri)
            _require_triton(files.read_policy(folder / "policy_document"))
        document = files.read_any(folder / "repository_document")
        if isinstance(document, Refusal):
            raise NotPromotedError(
                f"there is nothing to tune: {document.step} said {document.word}: {document.reason}"
            )
        assert isinstance(document, ModelRepository)
        yield from_repository(
            folder / "repository",
            folder / "optimized_model" / "golden.npz",
            files.read_policy(folder / "policy_document"),
        )


def _require_triton(policy: Policy) -> None:
    if policy.serving.by_kserve:
        raise DocumentError(
            f"serving.format = {policy.serving.format!r}: tune searches settings of Triton, and KServe's own "
            "server has none of them; set serving.args (--workers) and resources, and release"
        )


def _run(name: str, folder: Path, policy: str, model_uri: str) -> None:
    step = steps()[name]
    arguments: dict[str, object] = {p.name: folder / p.name for p in step.parameters if p.port}
    if name == "resolve":
        arguments |= {"policy": policy, "release_id": "tune", "model_uri": model_uri}
    execute(step, arguments)
