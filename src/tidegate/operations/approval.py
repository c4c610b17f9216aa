"""approve, reject-approval: a person's word on a release that waits for one, written into its journal."""

import time
from typing import TYPE_CHECKING, Literal

from tidegate.core.approval import unapprovable
from tidegate.core.journal import Approval, Journal
from tidegate.errors import ConflictError

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal


def decided(
    kube: "Kubernetes",
    stored: "StoredJournal",
    decision: Literal["approve", "reject"],
    *,
    who: str,
    reason: str = "",
) -> Journal:
    """The journal with the decision. Raises ConflictError where nobody can decide, or somebody was faster.

    Only a release that is STAGED is written to: nobody drives it then, so the write stops nobody.
    """
    from tidegate.adapters.release_lock import save_journal

    journal = stored.journal
    if trouble := unapprovable(journal):
        raise ConflictError(
            f"release {journal.release_id} of {journal.namespace}/{journal.name} cannot be decided on: "
            f"{trouble}; look at tidegate status"
        )
    word = Approval(decision=decision, who=who, reason=reason, at_s=time.time())
    return save_journal(kube, journal.model_copy(update={"approval": word}), stored).journal
