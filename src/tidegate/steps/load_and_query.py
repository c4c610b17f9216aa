"""A repository in the real Triton before it is published: it loads, answers, and is served as written."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.model_config import ModelConfig
from tidegate.documents import Finding, OptimizedModel, Word, worst
from tidegate.errors import RejectedError, UsageError
from tidegate.policy import Policy
from tidegate.steps.companions import FOLDER
from tidegate.steps.placing import Placed, asked, is_sequential

if TYPE_CHECKING:
    from tidegate.adapters.golden_data import Array
    from tidegate.adapters.tritonserver import Loaded

NAME = "load and query"


def tried(
    models: tuple[Placed, ...],
    model: OptimizedModel,
    policy: Policy,
    repository: Path,
    golden: Path,
) -> tuple[Finding, ...]:
    """Findings where a server is at hand and the policy wants it tried, else none: one of what is released,
    and one of each model beside it.

    Raises UsageError where the policy wants it always and there is no server.
    """
    from tidegate.adapters import tritonserver

    wanted = policy.triton.load_and_query
    if wanted == "never":
        return ()
    if not tritonserver.command():
        if wanted == "always":
            raise UsageError(
                "triton.load_and_query is always, and no tritonserver is here; set TIDEGATE_TRITONSERVER "
                "to its command, or write if_present"
            )
        return ()
    try:
        return tuple(_findings(models, model, policy, repository, golden))
    except RejectedError as error:
        return (Finding(name=NAME, word=Word.FAIL, message=str(error)),)


def _findings(
    models: tuple[Placed, ...],
    model: OptimizedModel,
    policy: Policy,
    repository: Path,
    golden: Path,
) -> Iterator[Finding]:
    from tidegate.adapters import tritonserver

    whole = asked(models)
    names = [one.config.name for one in models]
    with tritonserver.serving(repository, whole.config.name, *names) as loaded:
        version = loaded.server_version()
        if drift := _drift(models, loaded):
            message = f"Triton {version} changes the config: {drift}"
            yield Finding(name=NAME, word=Word.FAIL, message=message)
            return
        word, found = _compared(
            loaded, whole.config, golden, policy, _reference(models, model),
            sequential=is_sequential(models),
        )  # fmt: skip
        told = f"Triton {version}, wanted for {policy.triton.version}: {found}"
        yield Finding(name=NAME, word=word, message=f"{told}, config served as written")
        for one in models:
            if one.entry.role == "beside":
                yield _beside(loaded, one, golden.parent, policy)


def _drift(models: tuple[Placed, ...], loaded: "Loaded") -> str:
    from tidegate.core import served_config

    triton = loaded.version()
    return "; ".join(
        line
        for one in models
        for line in served_config.drifted(one.config, loaded.config(one.config.name), triton)
    )


def _beside(loaded: "Loaded", one: Placed, tree: Path, policy: Policy) -> Finding:
    """By its own golden rows; without any by a row of zeros, which only shows that it answers."""
    name, server = one.config.name, replace(loaded, name=one.config.name)
    golden = tree / FOLDER / name / "golden.npz"
    if why := one.entry.unasked:
        return Finding(
            name=f"{name}: {NAME}", word=Word.INCONCLUSIVE, message=f"not asked: {why}",
            blocking=False,
        )  # fmt: skip
    try:
        word, message = (
            _compared(
                server,
                one.config,
                golden,
                policy,
                one.entry.source,
                sequential=one.entry.sequential,
            )
            if golden.is_file()
            else _answers_zeros(server, one)
        )
    except RejectedError as error:
        word, message = Word.FAIL, str(error)
    return Finding(name=f"{name}: {NAME}", word=word, message=message)


def _answers_zeros(server: "Loaded", one: Placed) -> tuple[Word, str]:
    from tidegate.adapters.serving import zeros

    row = {tensor.name: zeros(tensor) for tensor in one.entry.inputs}
    size, sequential = len(next(iter(row.values()))), one.entry.sequential
    server.answers(row, size, sequential=sequential, what="a row of zeros")
    return Word.PASS, "a row of zeros is answered; it has no golden data to be compared with"


def _compared(
    loaded: "Loaded",
    config: ModelConfig,
    golden: Path,
    policy: Policy,
    reference: str,
    *,
    sequential: bool,
) -> tuple[Word, str]:
    """The golden rows of one model, asked and judged as parity is. Raises RejectedError."""
    from tidegate.adapters import golden_data
    from tidegate.core import parity

    rows = golden_data.read(golden, what=golden.name)
    size = config.max_batch_size or _fixed_batch(config)
    # What the server fills in and keeps of a sequence is in the graph, and so in its golden data.
    sent = {t.name: rows.inputs[t.name] for t in config.input} if sequential else rows.inputs
    given = {t.name for t in config.output} if sequential else rows.outputs.keys()
    wanted = {name: array for name, array in rows.outputs.items() if name in given}
    found = loaded.answers(sent, 1 if sequential else size, sequential=sequential)
    shaped = {n: _shaped(a, wanted[n]) for n, a in found.items() if n in wanted}
    outputs = parity.judge(shaped, wanted, policy.parity)
    bad = [output.message for output in outputs if output.word is not Word.PASS]
    told = f"{rows.rows} golden rows"
    if bad:
        return worst(*(o.word for o in outputs)), f"{told}, answered otherwise: {'; '.join(bad)}"
    return Word.PASS, f"{told} answered as by {reference}"


def _shaped(found: "Array", golden: "Array") -> "Array":
    """Triton gives a scalar per row an axis of its own; of another size it is another answer."""
    return found.reshape(golden.shape) if found.size == golden.size else found


def _reference(models: tuple[Placed, ...], model: OptimizedModel) -> str:
    """What the answers were compared with: of an ensemble, what its golden data record."""
    if asked(models) is models[0]:
        return model.parity.reference
    return f"the golden data of the ensemble of {', '.join(one.config.name for one in models[:-1])}"


def _fixed_batch(config: ModelConfig) -> int:
    """Rows of one request of a model without batching."""
    return max(1, config.input[0].dims[0])
