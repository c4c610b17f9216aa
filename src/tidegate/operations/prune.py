"""prune: removes published repositories that nobody can go back to, or only says which."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.core.retention import NAMED, Fate, fates
from tidegate.errors import UsageError

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes


def judged(
    kube: "Kubernetes", parent: str, *, keep: int, min_age_s: float, now_s: float | None = None
) -> list[Fate]:
    """What becomes of each. The storage is listed before the cluster: what is published later is not seen.

    Raises UsageError for a `keep` below 2 (the incumbent and what was before it) and an age that is none.
    """
    from tidegate.adapters.mentions import mentioned
    from tidegate.adapters.storage.retention import published

    if keep < 2:
        raise UsageError(f"--keep {keep} keeps no way back; keep 2 or more of each service")
    if not min_age_s >= 0:  # NaN neither
        raise UsageError(f"--min-age-h {min_age_s / 3600:g} is no age; give 0 or more")
    found = published(parent)
    now = time.time() if now_s is None else now_s
    return fates(found, mentioned(kube), keep=keep, min_age_s=min_age_s, now_s=now)


def removed(kube: "Kubernetes", parent: str, judged_so: Iterable[Fate]) -> Iterator[Fate]:
    """Remove what goes, unless the cluster names it by now; what became of each. Raises at the first failure.

    A release that publishes anew what lies there finds it, and names it a moment later.
    """
    from tidegate.adapters.mentions import mentioned
    from tidegate.adapters.storage.retention import remove

    for one in judged_so:
        if one.goes and one.publication.path in mentioned(kube):
            yield replace(one, goes=False, why=NAMED)
            continue
        if one.goes:
            remove(parent, one.publication)
        yield one


def lines(judged_so: Iterable[Fate], *, done: bool, now_s: float | None = None) -> Iterator[str]:
    """For people: each with its size, its age and why."""
    now = time.time() if now_s is None else now_s
    for one in judged_so:
        shown = one.publication
        word = ("removed" if done else "would remove") if one.goes else "keeps"
        size, days = shown.size / 1e6, (now - shown.published_s) / 86400
        yield f"{word} {shown.uri} ({size:.1f} MB, {days:.1f} days): {one.why}"
