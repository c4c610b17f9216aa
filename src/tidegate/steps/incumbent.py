"""Can the traffic return? What a roll-back needs is asked for before anything is written."""

from functools import partial
from typing import TYPE_CHECKING

from tidegate.core.asked import probe_of
from tidegate.core.decisions import Refuse
from tidegate.documents import Incumbent, Probe, Published, Word
from tidegate.errors import TidegateError
from tidegate.policy import Policy
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.release_lock import StoredJournal

WITHIN_S = 15.0  # it serves production at this moment


def returnable(
    incumbent: Incumbent,
    host: str,
    published: Published,
    policy: Policy,
    stored: "StoredJournal | None",
) -> Incumbent | Refuse:
    """The incumbent with how it is asked, after it has answered; or why no traffic could return to it.

    Its own release's journal says how to ask. Without that, ours is a guess by the same model's name, and
    a wrong guess proves nothing: it is said, and the incumbent goes unasked.
    """
    if recorded := _recorded(incumbent, stored):
        asked = incumbent.model_copy(update={"probe": recorded})
        trouble = _trouble(asked, host)
        return _refusal(incumbent, trouble) if trouble else asked
    if not incumbent.version:
        say("deploy", f"{incumbent.revision} is not from here and is not asked for an answer")
        return incumbent
    probe = probe_of(published.repository, policy, version=incumbent.version)
    guessed = incumbent.model_copy(update={"probe": probe})
    if trouble := _trouble(guessed, host):
        say("deploy", f"{incumbent.revision} is not asked again, as {probe.model}: {trouble}")
        return incumbent
    return guessed


def _recorded(incumbent: Incumbent, stored: "StoredJournal | None") -> Probe | None:
    """Without its neighbours: production returns to it for its own answers, whatever became of theirs."""
    before = stored.journal if stored else None
    if before is None or before.probe is None or before.storage_uri != incumbent.storage_uri:
        return None
    return before.probe.alone


def _trouble(incumbent: Incumbent, host: str) -> str:
    """Why it did not answer; '' when it did, or when it has no host to be asked at."""
    from tidegate.adapters.served_model import answers_as

    if incumbent.probe is None or not host:
        return ""
    try:
        answers_as(host, incumbent.probe, within_s=WITHIN_S, say=partial(say, "deploy"))
    except TidegateError as error:
        return str(error)
    return ""


def _refusal(incumbent: Incumbent, trouble: str) -> Refuse:
    silent = f"the incumbent {incumbent.revision} does not answer"
    reason = f"{silent}, so no traffic could return to it: {trouble}"
    return Refuse(word=Word.INVALID, reason=reason)
