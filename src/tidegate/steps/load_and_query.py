"""A repository in the real Triton before it is published: it loads, answers, and is served as written."""

from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.model_config import ModelConfig
from tidegate.documents import Finding, OptimizedModel, Word, worst
from tidegate.errors import RejectedError, UsageError
from tidegate.policy import Policy
from tidegate.steps.placing import Placed, asked

if TYPE_CHECKING:
    from tidegate.adapters.golden_data import Array

NAME = "load and query"


def tried(
    models: tuple[Placed, ...],
    model: OptimizedModel,
    policy: Policy,
    repository: Path,
    golden: Path,
) -> tuple[Finding, ...]:
    """One finding where a server is at hand and the policy wants it tried, else none.

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
        word, message = _asked(models, model, policy, repository, golden)
    except RejectedError as error:
        word, message = Word.FAIL, str(error)
    return (Finding(name=NAME, word=word, message=message),)


def _asked(
    models: tuple[Placed, ...],
    model: OptimizedModel,
    policy: Policy,
    repository: Path,
    golden: Path,
) -> tuple[Word, str]:
    from tidegate.adapters import golden_data, tritonserver
    from tidegate.core import parity, served_config

    rows = golden_data.read(golden, what=golden.name)
    config = asked(models).config
    names = [one.config.name for one in models]
    with tritonserver.serving(repository, config.name, *names) as loaded:
        version = loaded.server_version()
        drift = tuple(
            line
            for one in models
            for line in served_config.drifted(one.config, loaded.config(one.config.name))
        )
        if drift:
            return Word.FAIL, f"Triton {version} changes the config: {'; '.join(drift)}"
        found = loaded.answers(rows.inputs, config.max_batch_size or _fixed_batch(config))
    shaped = {n: _shaped(a, rows.outputs[n]) for n, a in found.items() if n in rows.outputs}
    outputs = parity.judge(shaped, rows.outputs, policy.parity)
    bad = [output.message for output in outputs if output.word is not Word.PASS]
    told = f"Triton {version}, wanted for {policy.triton.version}: {rows.rows} golden rows"
    if bad:
        return worst(*(o.word for o in outputs)), f"{told}, answered otherwise: {'; '.join(bad)}"
    return Word.PASS, f"{told} answered as by {_reference(models, model)}, config served as written"


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
