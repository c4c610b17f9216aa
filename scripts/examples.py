"""The examples of what a policy says of serving: each rendered beside it, as `tidegate render` does."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tidegate.adapters.files import read_policy
from tidegate.operations.rendering import text_of

ROOT = Path(__file__).parents[1] / "examples"
TITLE = "# Written by `make generate` from policy.yaml: tidegate render {options}policy.yaml\n"
SHARES = {
    "canary": 10,
    "canary-standard": 10,
    "blue-green": 0,
}  # what is shown beside the incumbent


def names() -> list[str]:
    """The folders with a policy, but for the demo's, which the demo runs."""
    return sorted(p.parent.name for p in ROOT.glob("*/policy.yaml") if p.parent.name != "digits")


def text(name: str) -> str:
    """What `tidegate render` prints for it."""
    percent = SHARES.get(name)
    options = "" if percent is None else f"--percent {percent} "
    read = read_policy(ROOT / name / "policy.yaml")
    return TITLE.format(options=options) + text_of(read, percent=percent)


def texts() -> dict[str, Callable[[], str]]:
    """Path below the root -> what belongs there."""
    return {f"examples/{name}/rendered.yaml": partial(text, name) for name in names()}
