"""The models beside the candidate, asked their own golden rows where it runs: once each, in turn."""

from pathlib import Path

from tidegate.core.asked import beside, unasked
from tidegate.documents import Deployment, Finding, OutputParity, RepositoryModel, Word
from tidegate.errors import TidegateError
from tidegate.policy import Policy
from tidegate.steps.companions import FOLDER
from tidegate.steps.load_accuracy import answers_of
from tidegate.steps.progress import say


def companion_findings(deployed: Deployment, policy: Policy, tree: Path) -> list[Finding]:
    """One for each; of one that cannot be asked, or has no golden data, that it was not compared.

    `tree` is optimize's, with a folder for each. One that does not answer every row is INVALID.
    """
    silent = unasked(deployed.repository, policy)
    return [
        _not_compared(one, f"not asked: {silent[one.name]}")
        if one.name in silent
        else _one(deployed, policy, one, tree / FOLDER / one.name / "golden.npz")
        for one in beside(deployed.repository)
    ]


def _one(deployed: Deployment, policy: Policy, one: RepositoryModel, golden: Path) -> Finding:
    from tidegate.core.parity import overall

    if not golden.is_file():
        return _not_compared(one, "it has no golden data; deploy asked it a row of zeros")
    say("load-test", f"asking {one.name}, beside the candidate, its own golden rows")
    try:
        outputs = _judged(deployed, policy, one, golden)
    except (TidegateError, ValueError, KeyError) as error:
        return _finding(one, Word.INVALID, str(error))
    bad = [output.message for output in outputs if output.word is not Word.PASS]
    told = f"answered otherwise: {'; '.join(bad)}" if bad else "golden rows as by its source"
    return _finding(one, overall(outputs), told)


def _judged(
    deployed: Deployment, policy: Policy, one: RepositoryModel, golden: Path
) -> tuple[OutputParity, ...]:
    """As parity was in optimize, on what is served now. Raises ValueError when a row is not answered."""
    import numpy as np

    from tidegate.adapters import golden_data, lanes
    from tidegate.core import parity

    wanted = golden_data.read(golden, what=golden.name).outputs
    rows = answers_of(lanes.companion_way(deployed, policy, one, golden=golden), one.version)
    names = [name for name in wanted if all(name in row for row in rows)]
    stacked = {name: np.stack([row[name] for row in rows]) for name in names}
    found = {
        name: array.reshape(wanted[name].shape) if array.size == wanted[name].size else array
        for name, array in stacked.items()
    }
    return parity.judge(found, wanted, policy.parity)


def _finding(one: RepositoryModel, word: Word, told: str) -> Finding:
    return Finding(name=_named(one), word=word, message=f"{one.name} ({one.source}): {told}")


def _not_compared(one: RepositoryModel, why: str) -> Finding:
    message = f"{one.name}: {why}"
    return Finding(name=_named(one), word=Word.INCONCLUSIVE, message=message, blocking=False)


def _named(one: RepositoryModel) -> str:
    return f"{one.name} beside it"
