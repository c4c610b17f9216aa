"""What must be so after a rescue, whatever was killed and when."""

import http.client
from dataclasses import dataclass

from tests.chaos.actors import NAMESPACE, Job
from tests.chaos.aliases import named_in
from tests.chaos.cells import Cell
from tests.chaos.client import Answer, Client, ask
from tests.chaos.courses import OWN_LABEL, own_label
from tests.chaos.world import World
from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import load_journal
from tidegate.core.drift import edits_of
from tidegate.core.first_release import preview_name
from tidegate.core.journal import Journal
from tidegate.core.observation import Observation
from tidegate.documents import Result

LOOKS = 8  # requests that must all be answered by the one revision


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where to look."""

    world: World
    kube: Kubernetes
    job: Job  # what was killed
    cell: Cell
    incumbent: int  # the version that serves when the release does not promote
    template: dict[str, object]  # of the incumbent, as the API had it

    @property
    def name(self) -> str:
        """Of the InferenceService."""
        return self.job.name

    @property
    def journal(self) -> Journal | None:
        """Of the release that was killed; None when it left none."""
        stored = load_journal(self.kube, NAMESPACE, self.name)
        return stored.journal if stored and self.job.is_about(stored.journal) else None

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
    journal, seen, course = scene.journal, scene.seen, scene.cell.course
    promoted = _promoted(journal)
    holder = scene.world.lease_holder(scene.name)
    require(not holder, f"the Lease is still held by {holder}")
    require(not scene.world.exists(preview_name(scene.name)), "the preview still exists")
    baselines = scene.world.baselines(scene.name)
    require(not baselines, f"a dedicated baseline is left: {baselines}")
    check_alias(scene, is_promoted=promoted is not None)
    if course.first and promoted is None:
        require(seen is None, "a first release that was taken back still exists")
        return
    require(seen is not None, "the InferenceService is gone")
    assert seen is not None
    check_serves(scene, seen, scene.job.version if promoted else scene.incumbent)
    require(
        promoted is None or course.candidate_may_serve, "a candidate that did not pass is promoted"
    )
    edits = _edits(scene, seen, promoted)
    require(not edits, f"the spec is not repaired: {edits}")


def check_alias(scene: Scene, *, is_promoted: bool) -> None:
    """The alias names what serves; after a promotion that died before it moved it, once it is resumed."""
    named = named_in(scene.job.alias)
    before = "" if scene.cell.course.first else str(scene.incumbent)
    moved = str(scene.job.version)
    if not is_promoted:
        require(named == before, f"the alias names version {named}, and {before} serves")
    elif scene.cell.rescue == "resume" or not scene.cell.death:
        require(named == moved, f"the alias names version {named}, and {moved} was promoted")
    else:
        require(named in {before, moved}, f"the alias names version {named}")


def _edits(scene: Scene, seen: Observation, promoted: Journal | None) -> str:
    """What of the spec is not as it should be; a promotion in Standard mode writes a template anew."""
    if promoted is None:
        return edits_of(seen, scene.template)
    if scene.world.mode == "Standard":
        return "spec.canary is still there" if seen.template.get("canary") else ""
    return edits_of(seen, promoted.template) or _left_over(seen, scene.job.version)


def _left_over(seen: Observation, version: int) -> str:
    """A field that the policy before named and this one does not."""
    labels = seen.template.get("labels") or {}
    left = {key for key in labels if key.startswith(OWN_LABEL)} - {own_label(version)}
    return f"spec.predictor.labels still has {', '.join(sorted(left))}" if left else ""


def _promoted(journal: Journal | None) -> Journal | None:
    """The journal, if it says that its version serves from now on."""
    if journal is None:
        return None
    require(journal.is_over, f"the journal is not over: {journal.phase}")
    return journal if journal.outcome is Result.PROMOTED else None


def check_serves(scene: Scene, seen: Observation, version: int) -> None:
    """Spec, status, routes and requests all say that one ready revision of the version has everything."""
    fate = scene.cell.course.fate if version == scene.job.version else ""
    uri = scene.world.uri(version, fate)
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


def check_next(scene: Scene, version: int) -> None:
    """What the second release promoted serves."""
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
