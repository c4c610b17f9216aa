"""Which fields of the predictor this release takes away: those that the one before wrote and it does not."""

from typing import TYPE_CHECKING

from tidegate.core.dropped import Dropped
from tidegate.core.history import drops_of
from tidegate.core.isvc.typed import Json
from tidegate.core.manifest import predictor
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.release_lock import StoredJournal
    from tidegate.core.observation import Observation


def wrote_by(policy: Policy, storage_uri: str, version: str) -> Json:
    """`spec.predictor` as a release of this policy sends it."""
    return predictor(policy, storage_uri, version).as_dict()


def dropped_by(
    named: Json, seen: "Observation | None", stored: "StoredJournal | None"
) -> tuple[Dropped, ...]:
    """Of what is not `named`, by the history beside the journal; a spoilt one is said, and then every field
    stays as it is served."""
    from tidegate.adapters.release_history import history_of

    if stored is None:
        return ()
    try:
        history = history_of(stored.config_map.get("data") or {}, what=stored.journal.name)
    except DocumentError as error:
        say("deploy", f"fields that the policy no longer names stay as they are served: {error}")
        return ()
    return drops_of(seen, named, history)
