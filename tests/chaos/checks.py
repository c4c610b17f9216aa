"""What must be so after a rescue, whatever was killed and when."""

import http.client
from dataclasses import dataclass

from tests.chaos.client import Answer, Client, ask
from tests.chaos.courses import CANDIDATE, INCUMBENT, Course
from tests.chaos.world import NAMESPACE, World
from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import load_journal
from tidegate.core.drift import edits_of
from tidegate.core.journal import Journal
from tidegate.core.observation import Observation
from tidegate.documents import Result

LOOKS = 8  # requests that must all be answered by the one revision


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where to look."""

    world: World
    kube: Kubernetes
    name: str
    release_id: str
    course: Course
    template: dict[str, object]  # of the incumbent, as the API had it

    @property
    def journal(self) -> Journal | None:
        """Of the release that was killed; None when it left none."""
        stored = load_journal(self.kube, NAMESPACE, self.name)
        ours = stored is not None and stored.journal.release_id == self.release_id
        return stored.journal if stored and ours else None

    @property
    def seen(self) -> Observation | None:
        """The InferenceService now."""
        return InferenceServices(self.kube, NAMESPACE, self.name).look()

    def answers(self) -> list[Answer]:
        """Requests to production, just now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.world.ingress.port, timeout=10)
        found = [ask(connection, self.world.host(self.name)) for _ in range(LOOKS)]
        connection.close()
        return found


def require(claim: bool, sentence: str) -> None:
    """Raise AssertionError with what is not so."""
    if not claim:
        raise AssertionError(sentence)


def check_rescued(scene: Scene) -> None:
    """One verified revision serves, and journal, spec, status, routes and Lease agree with it."""
    journal, seen = scene.journal, scene.seen
    version = _version_by(journal)
    holder = scene.world.lease_holder(scene.name)
    require(not holder, f"the Lease is still held by {holder}")
    if scene.course.first and version != CANDIDATE:
        require(seen is None, "a first release that was taken back still exists")
        return
    require(seen is not None, "the InferenceService is gone")
    assert seen is not None
    check_serves(scene, seen, version)
    if version == CANDIDATE:
        require(scene.course.candidate_may_serve, "a candidate that did not pass was promoted")
    edits = _edits(scene, seen, journal if version == CANDIDATE else None)
    require(not edits, f"the spec is not repaired: {edits}")


def _edits(scene: Scene, seen: Observation, promoted: Journal | None) -> str:
    """What of the spec is not as it should be; a promotion in Standard mode writes a template anew."""
    if promoted is None:
        return edits_of(seen, scene.template)
    if scene.world.mode == "Standard":
        return "spec.canary is still there" if seen.template.get("canary") else ""
    return edits_of(seen, promoted.template)


def _version_by(journal: Journal | None) -> int:
    """Which version should serve, by the journal."""
    if journal is None:
        return INCUMBENT
    require(journal.is_over, f"the journal is not over: {journal.phase}")
    return CANDIDATE if journal.outcome is Result.PROMOTED else INCUMBENT


def check_serves(scene: Scene, seen: Observation, version: int) -> None:
    """Spec, status, routes and requests all say that one ready revision of the version has everything."""
    uri = scene.world.uri(version, scene.course.fate if version == CANDIDATE else "")
    require(len(seen.traffic) == 1, f"production is split: {seen.traffic}")
    serving = next(iter(seen.traffic))
    stored = seen.revisions[serving].storage_uri
    require(stored == uri, f"production serves {stored}, the journal says {uri}")
    require(seen.storage_uri == uri, f"the spec names {seen.storage_uri}, production is {uri}")
    require(seen.is_healthy(serving), f"{serving} has production and is not ready")
    require(seen.is_true("Ready"), f"the InferenceService is not Ready: {seen.conditions['Ready']}")
    for answer in scene.answers():
        require(not answer.trouble, f"production answers {answer.trouble}")
        require(
            (answer.revision, answer.version) == (serving, str(version)),
            f"{answer.revision} (version {answer.version}) answered, the status says {serving}",
        )


def check_next(scene: Scene, outcome: object, version: int) -> None:
    """The second release was promoted and serves."""
    require(outcome == Result.PROMOTED.value, f"the second release ended {outcome}")
    seen = scene.seen
    require(seen is not None, "the InferenceService is gone after the second release")
    assert seen is not None
    check_serves(scene, seen, version)


def check_client(client: Client) -> None:
    """Nobody who used production noticed anything."""
    require(client.sent > 0, "the client sent nothing")
    require(
        not client.failures,
        f"{len(client.failures)} of {client.sent} requests failed: {client.failures[:3]}",
    )
