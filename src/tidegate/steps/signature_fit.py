"""Whether the incumbent's clients can go on; asked where it is found, before anything is written."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from tidegate.core.decisions import Refuse
from tidegate.core.signature import breaking
from tidegate.documents import Incumbent, ModelRepository, Published, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.policy.serving import TRITON
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.release_lock import StoredJournal


def signature_refusal(
    incumbent: Incumbent, published: Published, policy: Policy, stored: "StoredJournal | None"
) -> Refuse | None:
    """Why clients would trip over the candidate; None when they would not, or the policy lets them.

    The incumbent's signature is what its own release kept; one that came from elsewhere has none, which
    is said.
    """
    before = _kept(incumbent, stored)
    if before is None:
        say(
            "deploy",
            f"no release from here tells what {incumbent.revision} takes: its signature is not known or "
            "compared",
        )
        return None
    if stranger := _spoken_otherwise(before, published.repository):
        told = (
            f"clients of {incumbent.revision} would break, and it could not be compared: {stranger}"
        )
        return Refuse(word=Word.FAIL, reason=f"{told}; release it under another name")
    found = breaking(before, published.repository)
    if not found:
        return None
    told = f"clients of {incumbent.revision} would break: {'; '.join(found)}"
    if policy.parity.signature == "break":
        say("deploy", f"parity.signature is break, so this goes on: {told}")
        return None
    remedy = "keep the names and types, or set parity.signature: break"
    return Refuse(word=Word.FAIL, reason=f"{told}; {remedy}")


def _spoken_otherwise(before: ModelRepository, after: ModelRepository) -> str:
    """Another server, whose answers are of another form, or another protocol; '' for neither."""
    spoken = [f"{one.protocol} of {one.format}" for one in (before, after)]
    kinds = [(one.format == TRITON, one.protocol) for one in (before, after)]
    return "" if kinds[0] == kinds[1] else f"it spoke {spoken[0]}, this speaks {spoken[1]}"


def _kept(incumbent: Incumbent, stored: "StoredJournal | None") -> ModelRepository | None:
    """From the journal of its release, or from the history of them."""
    from tidegate.adapters.release_history import history_of

    if stored is None:
        return None
    journal = stored.journal
    try:
        if journal.storage_uri == incumbent.storage_uri and journal.deployment:
            return ModelRepository.model_validate(journal.deployment["repository"], strict=False)
        kept = history_of(stored.config_map["data"], what=journal.name).promoted
    except (DocumentError, ValidationError, KeyError):  # spoilt, or another tidegate's
        return None
    found = [one.repository for one in kept if one.storage_uri == incumbent.storage_uri]
    return found[-1] if found else None
