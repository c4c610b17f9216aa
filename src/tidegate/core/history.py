"""What was promoted before: enough of each to bring it back, and to ask it whether it is itself. Pure."""

from typing import Any, Literal

from pydantic import Field

from tidegate.core.dropped import Dropped, dropped, held_still
from tidegate.core.isvc.typed import Json
from tidegate.core.journal import Journal
from tidegate.core.observation import Observation
from tidegate.core.standard_state import promoted_of
from tidegate.documents import ModelRepository, Result, Strict, Subject

KEPT = 10
PREVIOUS = "previous"


class Promoted(Strict):
    """One version that passed its gates and served all of production."""

    release_id: str
    subject: Subject
    storage_uri: str
    revision: str = Field(description="as which it served; in Standard mode others did so too")
    mode: str
    template: dict[str, Any] = Field(description="spec.predictor as it served, without its percent")
    wrote: dict[str, Any] = Field(
        default_factory=dict, description="of it, what its release sent; {} = not known"
    )
    repository: ModelRepository = Field(description="how it is asked")
    promoted_s: float = Field(description="Unix time")

    @property
    def own_revision(self) -> str:
        """The revision that was this version's alone; '' in Standard mode, where two names alternate."""
        return self.revision if self.mode == "Knative" else ""

    @property
    def named(self) -> str:
        """For a person."""
        revision = f" ({self.own_revision})" if self.own_revision else ""
        return f"{self.subject.version}{revision}"


class History(Strict):
    """The last promoted releases of one InferenceService, oldest first."""

    schema_version: Literal[1] = 1
    kind: Literal["History"] = "History"
    promoted: tuple[Promoted, ...] = ()

    def after(self, journal: Journal) -> "History":
        """With this release, once it has ended promoted; the same journal adds nothing twice."""
        known = any(one.release_id == journal.release_id for one in self.promoted)
        if known or journal.outcome is not Result.PROMOTED or not journal.deployment:
            return self
        return History(promoted=(*self.promoted, _promoted(journal))[-KEPT:])

    def known(self) -> str:
        """What there is to go back to, newest first, for a person."""
        versions = [one.named for one in reversed(self.promoted)]
        return ", ".join(versions) or "nothing that tidegate has promoted"

    def served_from(self, storage_uri: str) -> Promoted | None:
        """The newest that was published there."""
        return next((p for p in reversed(self.promoted) if p.storage_uri == storage_uri), None)

    def find(self, to: str, serving_uri: str) -> Promoted | None:
        """The newest that is meant: a version, a revision, or what served before what serves now."""
        meant = [
            one
            for one in self.promoted
            if to in {one.subject.version, one.own_revision}
            or (to == PREVIOUS and one.storage_uri != serving_uri)
        ]
        return meant[-1] if meant else None


def drops_of(seen: Observation | None, named: Json, history: History) -> tuple[Dropped, ...]:
    """What the release of the version that serves wrote, the API still holds, and is not in `named`.

    () where no such release is remembered: then nobody knows whose a field is.
    """
    if seen is None:
        return ()
    serving = {seen.revisions[name].storage_uri for name in seen.traffic if name in seen.revisions}
    before = [one for one in history.promoted if {one.storage_uri} == serving]
    if not before:
        return ()
    found = dropped(before[-1].wrote, named, before[-1].template)
    return tuple(held_still(found, seen.predictor))


def _served(journal: Journal) -> dict[str, Any]:
    """The predictor with which it served; in Standard mode an entry has taken the stable one's place."""
    if journal.mode == "Standard" and journal.incumbent:
        return promoted_of(journal, journal.incumbent)
    return journal.template


def _promoted(journal: Journal) -> Promoted:
    repository = ModelRepository.model_validate(journal.deployment["repository"], strict=False)
    return Promoted(
        release_id=journal.release_id,
        subject=journal.subject,
        storage_uri=journal.storage_uri,
        revision=journal.candidate_revision,
        mode=journal.mode,
        template=_served(journal),
        wrote=journal.wrote,
        repository=repository.model_copy(update={"findings": ()}),
        promoted_s=max((step.at_s for step in journal.steps), default=0.0),
    )
