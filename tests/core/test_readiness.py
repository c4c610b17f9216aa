"""What a status means: each predicate against statuses as KServe writes them."""

import copy
from typing import Any

import pytest

from tidegate.core.claim import Claim, claim, holder_refusal, mode_refusal
from tidegate.core.decisions import Refuse
from tidegate.core.drift import drift_of
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.knative import manual_command
from tidegate.core.observation import SOURCE_URI, Observation, mode_of, observe
from tidegate.core.readiness import failure_of, is_live, is_safe, is_staged, is_step, suspicion_of
from tidegate.documents import Result, Subject, Word
from tidegate.policy import Policy

R1, R2 = "fraud-predictor-00001", "fraud-predictor-00002"
OLD, NEW = "s3://models/fraud/7/", "s3://models/fraud/8/"
STAGED: dict[str, Any] = {
    "metadata": {"uid": "u", "resourceVersion": "5"},
    "spec": {"predictor": {"canaryTrafficPercent": 0, "model": {"storageUri": NEW}}},
    "status": {
        "url": "http://fraud.prod.example.com",
        "deploymentMode": "Knative",
        "components": {
            "predictor": {
                "latestCreatedRevision": R2,
                "latestReadyRevision": R2,
                "latestRolledoutRevision": R1,
                "traffic": [
                    {
                        "latestRevision": True,
                        "percent": 0,
                        "revisionName": R2,
                        "tag": "latest",
                        "url": "http://latest-fraud-predictor.prod.example.com",
                    },
                    {
                        "latestRevision": False,
                        "percent": 100,
                        "revisionName": R1,
                        "tag": "prev",
                        "url": "http://prev-fraud-predictor.prod.example.com",
                    },
                ],
            }
        },
        "modelStatus": {"transitionStatus": "UpToDate"},
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "RoutesReady", "status": "True", "severity": "Info"},
        ],
    },
}


def revision(name: str, uri: str, **ready: str) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True"} | ready
    status = {"conditions": [condition], "actualReplicas": 1}
    return {"metadata": {"name": name, "annotations": {SOURCE_URI: uri}}, "status": status}


def seen(*changes: tuple[str, Any], revisions: Any = None) -> Observation:
    """STAGED with values replaced at dotted paths."""
    isvc = copy.deepcopy(STAGED)
    for path, value in changes:
        *parents, last = path.split(".")
        at: Any = isvc
        for part in parents:
            at = at[int(part)] if part.isdigit() else at[part]
        at[int(last) if last.isdigit() else last] = value
    return observe(isvc, revisions or [revision(R1, OLD), revision(R2, NEW)])


PREDICTOR = "status.components.predictor"
ROUTED = f"{PREDICTOR}.traffic"


def staged(observation: Observation, before: str = R1) -> bool:
    return is_staged(observation, incumbent=R1, storage_uri=NEW, before=before)


def test_a_status_is_read_with_its_hosts() -> None:
    read = seen()
    assert (read.host, read.mode, read.traffic) == ("fraud.prod.example.com", "Knative", {R1: 100})
    assert read.latest
    assert read.prev
    assert read.latest.host == "latest-fraud-predictor.prod.example.com"
    assert read.prev.host == "prev-fraud-predictor.prod.example.com"


def test_a_ready_candidate_at_0_beside_the_incumbent_is_staged() -> None:
    assert staged(seen())


@pytest.mark.parametrize(
    "observation",
    [
        seen((f"{ROUTED}.0.revisionName", R1)),
        seen((f"{PREDICTOR}.latestReadyRevision", R1)),
        seen((f"{ROUTED}.0.percent", 10), (f"{ROUTED}.1.percent", 90)),
        seen((f"{ROUTED}.1.revisionName", "fraud-predictor-00000")),
        seen(("status.conditions.0.status", "Unknown")),
        seen(("status.conditions", [])),
        seen(("status", {})),
        seen(revisions=[revision(R1, OLD), revision(R2, OLD)]),
        seen(revisions=[revision(R1, OLD)]),
        seen(revisions=[revision(R1, OLD), revision(R2, NEW) | {"status": {}}]),
        seen(("spec.predictor.minReplicas", 2)),
    ],
    ids=[
        "the latest tag still serves the incumbent",
        "the newest revision is not ready",
        "it has a share already",
        "prev is another revision",
        "Ready is unknown",
        "no conditions",
        "no status",
        "the revision serves another URI",
        "the revision cannot be seen",
        "no replicas",
        "fewer replicas than asked",
    ],
)
def test_what_is_not_known_to_be_staged_is_not(observation: Observation) -> None:
    assert not staged(observation)


def test_a_revision_of_before_is_no_candidate() -> None:
    assert not staged(seen(), before=R2)


def test_a_step_is_seen_in_spec_status_and_routes() -> None:
    shares = ((f"{ROUTED}.0.percent", 10), (f"{ROUTED}.1.percent", 90))
    spec = ("spec.predictor.canaryTrafficPercent", 10)
    routes = ("status.conditions.1.status", "False")

    def stepped(observation: Observation) -> bool:
        return is_step(observation, candidate=R2, incumbent=R1, percent=10)

    assert stepped(seen(spec, *shares))
    assert not stepped(seen(*shares))
    assert not stepped(seen(spec))
    assert not stepped(seen(spec, *shares, routes))


def test_100_counts_only_once_kserve_has_recorded_it() -> None:
    entry = STAGED["status"]["components"]["predictor"]["traffic"][0] | {"percent": 100}
    at_100 = [(ROUTED, [entry]), ("spec.predictor.canaryTrafficPercent", 100)]
    rolled = (f"{PREDICTOR}.latestRolledoutRevision", R2)
    assert not is_step(seen(*at_100), candidate=R2, incumbent=R1, percent=100)
    assert is_step(seen(*at_100, rolled), candidate=R2, incumbent=R1, percent=100)


def test_production_is_safe_only_where_all_of_it_is() -> None:
    assert is_safe(seen(), R1)
    assert not is_safe(seen((f"{ROUTED}.0.percent", 1), (f"{ROUTED}.1.percent", 99)), R1)
    assert not is_safe(seen(("status", {})), R1)


def test_a_first_release_is_live_when_all_traffic_is_on_our_uri() -> None:
    everything = [(ROUTED, [{"latestRevision": True, "percent": 100, "revisionName": R2}])]
    assert is_live(seen(*everything), storage_uri=NEW)
    assert not is_live(seen(*everything), storage_uri=OLD)


@pytest.mark.parametrize(
    ("status", "reason", "fails"),
    [
        ("False", "ExitCode1", True),
        ("False", "ProgressDeadlineExceeded", True),
        ("False", "Unschedulable", False),
        ("Unknown", "Deploying", False),
        ("True", "", False),
    ],
)
def test_a_revision_has_failed_only_for_reasons_that_do_not_pass(
    status: str, reason: str, fails: bool
) -> None:
    said = revision(R2, NEW, status=status, reason=reason, message="failed to load 'fraud'")
    found = failure_of(seen(revisions=[revision(R1, OLD), said]), R2)
    assert bool(found) is fails
    assert not fails or found == f"{reason}: failed to load 'fraud'"


def test_a_blocked_load_is_a_suspicion_with_the_last_words() -> None:
    model = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": {"message": "bad dims"}}
    assert suspicion_of(seen(("status.modelStatus", model))) == "BlockedByFailedLoad: bad dims"


def test_an_old_failure_message_alone_is_no_suspicion() -> None:
    model = {"transitionStatus": "UpToDate", "lastFailureInfo": {"message": "long ago"}}
    assert suspicion_of(seen(("status.modelStatus", model))) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("spec.predictor.canaryTrafficPercent", 0), ""),
        (("spec.predictor.canaryTrafficPercent", 30), "canaryTrafficPercent was changed to 30"),
        (("spec.predictor.canaryTrafficPercent", None), "canaryTrafficPercent was changed to None"),
        (("spec.predictor.model.storageUri", "x"), "predictor.model.storageUri was changed to x"),
        (("spec.predictor.timeout", 30), "spec.predictor.timeout was changed to 30"),
        (("spec.predictor.minReplicas", 3), "spec.predictor.minReplicas was changed to 3"),
        (("metadata.uid", "v"), "was replaced"),
        (("metadata.deletionTimestamp", "now"), "was deleted"),
        ((f"{PREDICTOR}.latestCreatedRevision", "r9"), "revision r9 was created by another change"),
    ],
)
def test_a_foreign_change_is_named(change: tuple[str, Any], said: str) -> None:
    staged = seen().template
    found = drift_of(seen(change), uid="u", template=staged, candidate=R2, percents={0, 10})
    assert said in found
    assert bool(said) is bool(found)


@pytest.mark.parametrize(
    ("recorded", "annotated", "mode"),
    [
        ("Knative", "", "Knative"),
        ("Serverless", "", "Knative"),
        ("", "RawDeployment", "Standard"),
        ("Standard", "Knative", "Standard"),
        ("", "", ""),
    ],
)
def test_the_mode_is_what_the_cluster_recorded(recorded: str, annotated: str, mode: str) -> None:
    annotations = {"serving.kserve.io/deploymentMode": annotated} if annotated else {}
    status = {"deploymentMode": recorded} if recorded else {}
    assert mode_of({"metadata": {"annotations": annotations}, "status": status}) == mode


# -- claims


def policy(mode: str = "auto", initial: str = "refuse") -> Policy:
    return Policy.model_validate(
        {
            "name": "fraud",
            "initial": initial,
            "adopt": "allow",
            "serving": {"mode": mode},
            "model": {"uri": "models:/f/8"},
        }
    )


@pytest.mark.parametrize(
    ("asked", "default", "refused"),
    [
        ("auto", "Knative", ""),
        ("Knative", "", ""),
        ("auto", "", "is unknown"),
        ("auto", "Standard", ""),
        ("Standard", "", ""),
        ("auto", "ModelMesh", "is ModelMesh"),
    ],
)
def test_a_new_objects_mode_is_said_or_read_never_guessed(
    asked: str, default: str, refused: str
) -> None:
    found = mode_refusal(None, policy(asked), default)
    assert bool(found) is bool(refused)
    assert found is None or refused in found.reason


ROLLED_OUT = [
    (ROUTED, [{"latestRevision": True, "percent": 100, "revisionName": R2, "tag": "latest"}]),
    (f"{PREDICTOR}.latestRolledoutRevision", R2),
]


def test_the_incumbent_is_the_revision_with_the_traffic_and_the_uri_it_serves() -> None:
    found = claim(seen(*ROLLED_OUT), policy(), "s3://models/fraud/9/")
    assert isinstance(found, Claim)
    assert found.incumbent
    assert (found.incumbent.revision, found.incumbent.storage_uri) == (R2, NEW)
    assert (found.created_before, found.uri_before, found.uid) == (R2, NEW, "u")


@pytest.mark.parametrize(
    ("observation", "word", "reason"),
    [
        (None, Word.INVALID, "write initial: preview"),
        (seen((f"{ROUTED}.0.percent", 40), (f"{ROUTED}.1.percent", 60)), Word.INVALID, "splits"),
        (seen((f"{PREDICTOR}.latestRolledoutRevision", "")), Word.INVALID, "has never served"),
        (seen(*ROLLED_OUT), Word.UNCHANGED, "already serves"),
        (seen(), Word.INVALID, "repair the spec first"),
        (seen(revisions=[revision(R2, NEW)]), Word.INVALID, "cannot be read"),
    ],
    ids=["first", "split", "never served", "same version", "unrepaired spec", "no Revision"],
)
def test_a_release_that_may_not_begin_is_told_why(
    observation: Observation | None, word: Word, reason: str
) -> None:
    found = claim(observation, policy(), NEW)
    assert isinstance(found, Refuse)
    assert (found.word, reason in found.reason) == (word, True), found.reason


def test_an_incumbent_that_is_not_ready_is_no_way_back() -> None:
    dead = revision(R2, NEW, status="False", reason="ExitCode1")
    found = claim(seen(*ROLLED_OUT, revisions=[dead]), policy(), "s3://models/fraud/9/")
    assert isinstance(found, Refuse)
    assert "is not ready" in found.reason


# -- journals


def journal(**changes: Any) -> Journal:
    subject = Subject(model="fraud", version="8", digest=f"sha256:{0:064d}")
    base = Journal(
        release_id="a", subject=subject, namespace="prod", name="fraud", deadline_s=100,
        storage_uri=NEW,
    )  # fmt: skip
    return base.model_copy(update=changes)


def act(percent: int) -> ActRecord:
    return ActRecord(kind=ActKind.SHIFT, percent=percent, intended_s=1)


def test_the_holder_is_whoever_has_not_ended_and_is_in_time() -> None:
    assert holder_refusal(journal(), "b", 50)
    assert holder_refusal(journal(), "b", 150) is None
    assert holder_refusal(journal(), "a", 50) is None
    over = journal().ended(Result.PROMOTED, "done")
    assert holder_refusal(over, "b", 50) is None
    assert holder_refusal(over, "a", 50)


def test_the_spec_may_show_the_confirmed_percent_or_the_one_meant_since() -> None:
    confirmed = journal().intending(act(10)).confirming(2)
    assert confirmed.percents == {10}
    assert confirmed.intending(act(50)).percents == {10, 50}
    assert confirmed.intending(act(50)).confirming(3).percents == {50}


def test_a_second_try_of_an_act_is_the_same_act() -> None:
    meant = journal().intending(act(10))
    assert meant.intending(act(10)) is meant
    assert len(meant.confirming(2).intending(act(10)).acts) == 2


def test_a_journal_survives_its_json() -> None:
    meant = journal().intending(act(10)).ended(Result.DIED, "because")
    assert Journal.model_validate_json(meant.model_dump_json()) == meant


def test_the_manual_command_fits_what_there_was_before() -> None:
    assert manual_command(None, journal()) == "kubectl -n prod delete inferenceservice fraud"
