"""Which published repositories may go. Pure.

What anybody in the cluster names stays, whoever that is: a service's spec, a revision or a Deployment that
a roll-back would go to, a journal, the history of releases. Names are looked for as text, so that a field
that nobody thought of counts, too; and by what follows the parent, since one storage has several URIs (as a
claim, and as the folder where that is mounted).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

RELEASE = re.compile(r"[a-z0-9][\w.-]*/[\w.-]+-[0-9a-f]{12}", re.ASCII)  # as publish names them
NAMED = "named in the cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One repository in the storage, whole or the rest of an upload that died."""

    path: str  # <service>/<version>-<digest>
    uri: str
    published_s: float  # Unix time of its mark, or of its newest object
    size: int
    is_whole: bool

    @property
    def service(self) -> str:
        """The InferenceService that it was published for."""
        return self.path.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one, and why."""

    publication: Publication
    goes: bool
    why: str


def fates(
    found: Iterable[Publication], mentioned: str, *, keep: int, min_age_s: float, now_s: float
) -> list[Fate]:
    """One for each, newest first by service. `mentioned`: the text of all objects that can name an URI."""
    ordered = sorted(found, key=lambda one: (one.service, -one.published_s, one.path))
    counted: dict[str, int] = {}
    judged = []
    for one in ordered:
        counted[one.service] = counted.get(one.service, 0) + one.is_whole
        why = _kept(one, mentioned, counted[one.service], keep, now_s - one.published_s < min_age_s)
        judged.append(Fate(publication=one, goes=not why, why=why or _gone(one, keep)))
    return judged


def _kept(one: Publication, mentioned: str, newest: int, keep: int, is_young: bool) -> str:
    if one.path in mentioned:
        return NAMED
    if is_young:
        return "too young: a release may be about to name it"
    if one.is_whole and newest <= keep:
        return f"one of the newest {keep}"
    return ""


def _gone(one: Publication, keep: int) -> str:
    return f"older than the newest {keep}" if one.is_whole else "never finished"
