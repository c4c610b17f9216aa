"""Which rules move the traffic of a release: those of the deployment mode that the cluster recorded. Pure.

A mode is a module with these ten functions. The drivers know no mode; they read, ask here, and write.
"""

from collections.abc import Mapping
from typing import Protocol

from tidegate.core import knative, standard
from tidegate.core.decisions import Act, Decision, Refuse
from tidegate.core.journal import Journal
from tidegate.core.manifest import Json
from tidegate.core.observation import Observation
from tidegate.policy import Policy


class Rules(Protocol):
    """One mode's rules."""

    def next_for_stage(
        self, seen: Observation | None, journal: Journal, waited_s: float
    ) -> Decision:
        """Bring the candidate up at 0 %; a first release, live."""
        ...

    def next_for_confirm(self, seen: Observation | None, journal: Journal) -> Decision:
        """A first release that is live must still be what serves."""
        ...

    def next_for_step(self, seen: Observation | None, journal: Journal, percent: int) -> Decision:
        """Give the candidate this share, and see it in spec, status and routes."""
        ...

    def next_for_finish(self, seen: Observation | None, journal: Journal) -> Decision:
        """After the last step: what is left to write for the candidate to be the incumbent."""
        ...

    def trouble_of(self, seen: Observation | None, journal: Journal) -> Refuse | None:
        """Why a promotion must stop now."""
        ...

    def next_for_return(
        self, seen: Observation | None, journal: Journal, waited_s: float
    ) -> Decision:
        """Bring production back to what served before: traffic first, then the spec."""
        ...

    def is_traffic_safe(self, seen: Observation | None, journal: Journal) -> bool:
        """All of production is on what served before, which is up and was asked."""
        ...

    def manifest_of(self, policy: Policy, storage_uri: str, version: str) -> Json:
        """The object of a first release."""
        ...

    def manual_command(self, seen: Observation | None, journal: Journal) -> str:
        """What a person types when tidegate cannot return the traffic."""
        ...

    def patch_of(self, act: Act, seen: Observation, journal: Journal, wanted: Json) -> Json:
        """The merge-patch that carries out an act."""
        ...


RULES: Mapping[str, Rules] = {"Knative": knative, "Standard": standard}


def rules_of(journal: Journal) -> Rules:
    """The rules of the mode in which this release began; it cannot change while the object lives."""
    return RULES[journal.mode]
