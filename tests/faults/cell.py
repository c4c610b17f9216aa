"""One cell of the table: a step meets a fault, then the guard comes on a sound wire."""

from typing import TYPE_CHECKING

from tests.faults.scenes import Scene
from tests.faults.stage import WHO, Stage
from tests.faults.table import NEVER, SAME
from tests.faults.wire import Fault
from tests.steps.traffic.traffic_cluster import NAME, uri
from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.release_lock import load_journal, save_journal
from tidegate.errors import TidegateError
from tidegate.sandbox.api.kinds import INFERENCESERVICES

if TYPE_CHECKING:
    from tidegate.core.journal import Journal

RETURN_S = 1.5
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/default/leases/tidegate-{NAME}"


def played(stage: Stage, scene: Scene, fault: Fault) -> str:
    """How the step ended, and what the guard made of it; production is checked all the while."""
    scene.before(stage)
    stage.hurry()
    stage.cluster.ingress.seen.clear()
    ended = _ended(stage, scene, fault)
    assert any(call == fault.call for call, _ in stage.wire.calls), f"{fault.call} was never made"
    _check_shares(stage, scene)
    held = _let_expire(stage)
    then = _guarded(stage)
    _check_end(stage)
    if not fault.fired:
        assert (fault.kind, ended) == ("stale", scene.ends)
        return NEVER
    if ended != scene.ends:
        return f"{ended}; {then}"
    return f"{SAME}; the Lease expires" if held else SAME


def _ended(stage: Stage, scene: Scene, fault: Fault) -> str:
    with stage.wire.during(scene.step, fault):
        try:
            return scene.run(stage)
        except TidegateError as error:
            return f"exit {error.exit_code}"


def _let_expire(stage: Stage) -> bool:
    """Whether the Lease is still held; if so, its time passes before anybody else comes."""
    lease = stage.cluster.kube.find(LEASE)
    if lease is None or not lease["spec"]["holderIdentity"]:
        return False
    lease["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    stage.cluster.kube.request("PUT", LEASE, lease)
    return True


def _journal(stage: Stage) -> "Journal | None":
    stored = load_journal(stage.cluster.kube, "default", NAME)
    return stored.journal if stored else None


def _outcome(stage: Stage) -> str:
    journal = _journal(stage)
    assert journal
    return str(journal.outcome)


def _guarded(stage: Stage) -> str:
    """Whatever the step left, the guard finds it, for production is never without an owner; what the guard
    has no means to repair, the sweep does."""
    stage.kube = stage.cluster.kube  # past the wire
    before = _journal(stage)
    if before is None or before.release_id != stage.release_id:
        assert stage.guard() == "nothing found"
        return "nothing to undo"
    said = "closed" if before.is_over else "guard"
    _give_time(stage)
    result = stage.guard()
    after = _journal(stage)
    if after and not after.is_over:  # somebody resumed it, whose time has to pass first
        assert (after.hand, stage.sweep()) == (f"resumed by {WHO}", "returned 1")
        return f"{said} leaves it, sweep: {_outcome(stage)}"
    if after and after.spec_repaired is False:
        assert stage.sweep() == "returned 0"
        return f"{said}, sweep repairs: {result}"
    return f"{said}: {result}"


def _give_time(stage: Stage) -> None:
    """The step was hurried so that the test is short; who comes after it is not."""
    stored = load_journal(stage.cluster.kube, "default", NAME)
    assert stored
    journal = stored.journal.model_copy(update={"return_within_s": 30.0})
    save_journal(stage.cluster.kube, journal, stored)


def _check_shares(stage: Stage, scene: Scene) -> None:
    """The candidate never had more than the scene's share of production."""
    specs = stage.cluster.runtime.specs
    candidate = uri(stage.candidate)
    for shares in stage.cluster.ingress.seen:
        held = sum(part for name, part in shares.items() if specs[name].storage_uri == candidate)
        assert held <= scene.share, shares


def _check_end(stage: Stage) -> None:
    """Production is on one model, the one that the journal says, and the spec asks for it."""
    assert InferenceServices(stage.cluster.kube, "default", f"{NAME}-preview").look() is None
    made = stage.cluster.api.store.items(INFERENCESERVICES)
    assert [one["metadata"]["name"] for one in made if "-base-" in one["metadata"]["name"]] == []
    journal, seen = _journal(stage), stage.cluster.service.look()
    if journal is None or seen is None:
        assert seen is None
        assert journal is None or (journal.is_over and journal.is_initial)
        return
    assert journal.is_over
    was = journal.incumbent.storage_uri if journal.incumbent else uri(1)  # a release that saw none
    wanted = journal.storage_uri if journal.outcome == "PROMOTED" else was
    assert (stage.cluster.serving, seen.storage_uri) == ({wanted}, wanted)
