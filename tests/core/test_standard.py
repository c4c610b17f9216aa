"""The rules of Standard mode, in sentences; then against any order of events."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.standard_model import Cluster, serving
from tidegate.core.claim import Claim, claim
from tidegate.core.decisions import RECONCILE_S, Act, Decision, Done, Prove, Refuse, Wait
from tidegate.core.dropped import Dropped
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.observation import Observation
from tidegate.core.standard import (
    drift,
    is_traffic_safe,
    manual_command,
    next_for_confirm,
    next_for_finish,
    next_for_return,
    next_for_stage,
    next_for_step,
    patch_of,
    trouble_of,
)
from tidegate.documents import Probe, Subject
from tidegate.policy import Policy

TIMEOUT = 100  # turns that staging or a step may take before the driver turns back
OLD, NEW = "s3://m/1/", "s3://m/2/"
BLUE, GREEN = "m-blue-predictor", "m-green-predictor"
POLICY = Policy.model_validate(
    {"name": "m", "adopt": "allow", "model": {"uri": "models:/m/2"}}  # others' services move alike
)
SUBJECT = Subject(model="m", version="2", digest=f"sha256:{0:064d}")
WANTED: dict[str, Any] = {"timeout": 60, "model": {"storageUri": NEW}}


def journal_for(cluster: Cluster) -> Journal:
    start = claim(cluster.seen(), POLICY, NEW)
    assert isinstance(start, Claim), start
    assert start.incumbent is not None
    incumbent = start.incumbent.model_copy(update={"probe": probe("1")})
    return Journal(
        release_id="r", subject=SUBJECT, namespace="default", name="m", mode="Standard",
        isvc_uid=start.uid, deadline_s=0, incumbent=incumbent, storage_uri=NEW, probe=probe("2"),
        created_before=start.created_before, uri_before=start.uri_before,
    )  # fmt: skip


def probe(version: str) -> Probe:
    return Probe(model="m", inputs=(), version=version)


class Run:
    """A driver without I/O: one turn reads, decides and writes; the journal outlives a crash."""

    def __init__(self, cluster: Cluster, steps: tuple[int, ...] = (10, 50, 100)) -> None:
        self.cluster, self.journal = cluster, journal_for(cluster)
        self.left = list(steps)
        self.verified = {name for name, _ in cluster.deployments.items()}
        self.is_staged, self.is_returning = False, False
        self.waited, self.end, self.share = 0.0, "", 0

    def turn(self) -> None:
        if self.end:
            return
        self.waited += 1
        decision = self.decide(self.cluster.seen())
        if self.waited > TIMEOUT and not self.is_returning:
            self.go_back()
            return
        if isinstance(decision, Act):
            self.write(decision)
        elif isinstance(decision, Done):
            self.done()
        elif isinstance(decision, Prove):
            self.prove(decision)
        elif isinstance(decision, Refuse):
            self.refused()

    def decide(self, seen: Observation) -> Decision:
        if self.is_returning:
            return next_for_return(seen, self.journal, self.waited)
        if not self.is_staged:
            return next_for_stage(seen, self.journal, self.waited)
        if self.left:
            return next_for_step(seen, self.journal, self.left[0])
        return next_for_finish(seen, self.journal)

    def write(self, act: Act) -> None:
        record = ActRecord(kind=act.kind, percent=act.percent, intended_s=0)
        self.journal = self.journal.intending(record)
        if not self.is_returning:
            self.share = act.percent or 0
        self.cluster.merge(patch_of(act, self.cluster.seen(), self.journal, WANTED))
        if act.kind is ActKind.STAGE:
            template = {"template": self.cluster.seen().template}
            self.journal = self.journal.model_copy(update=template)

    def prove(self, proof: Prove) -> None:
        """A request reaches what the host leads to now; only one revision behind it proves that one."""
        service = proof.host.partition(".")[0]
        behind = {service} if service in self.cluster.deployments else set(self.cluster.production)
        uris = {self.cluster.deployments[name].uri for name in behind}
        if uris == {NEW if proof.probe.version == "2" else OLD}:
            proofs = (*self.journal.proofs, proof.key)
            self.journal = self.journal.model_copy(update={"proofs": proofs})

    def done(self) -> None:
        self.journal, self.waited = self.journal.confirming(1), 0
        if self.is_returning:
            self.end = "returned"
        elif not self.is_staged:
            self.staged()
        elif self.left:
            self.left.pop(0)
        else:
            self.end = "promoted"

    def staged(self) -> None:
        self.is_staged, seen = True, self.cluster.seen()
        rollout = seen.revisions[seen.created].rollout
        noted = {"candidate_revision": seen.created, "candidate_rollout": rollout}
        self.journal = self.journal.model_copy(update=noted)
        self.verified.add(seen.created)

    def refused(self) -> None:
        if self.is_returning:
            self.end = "alarm"
        self.go_back()

    def go_back(self) -> None:
        """A crash with a guard after it, or a gate that said FAIL."""
        if not self.end:
            self.is_returning, self.waited = True, 0
            self.journal = self.journal.model_copy(update={"proofs": ()})

    def check(self) -> None:
        assert not self.cluster.lost, f"{self.cluster.lost} vanished under a share of production"
        for name, percent in self.cluster.production.items():
            deployment = self.cluster.deployments[name]
            if deployment.uri == NEW:
                assert name in self.verified, f"{name} serves unverified"
                assert percent <= self.share, f"{name} has {percent} %, its step is {self.share} %"
            else:
                assert deployment.uri == OLD


def finish(run: Run, *, loads: bool = True, turns: int = 200) -> list[tuple[str, int | None]]:
    """Let everything happen in good order until the run ends."""
    run.cluster.loads.setdefault(NEW, loads)
    for _ in range(turns):
        run.turn()
        run.cluster.settle(2)
        run.check()
        if run.end:
            break
    assert run.end, run.decide(run.cluster.seen())
    run.cluster.settle()
    return acts_of(run)


def acts_of(run: Run) -> list[tuple[str, int | None]]:
    return [(a.kind.value, a.percent) for a in run.journal.acts]


def reach(run: Run, percent: int) -> Run:
    """As far as this share, seen in the routes; 101 = promoted, and renamed."""
    run.cluster.loads[NEW] = True
    for _ in range(100):
        if run.end or (percent <= 100 and run.is_staged and [*run.left, 101][0] > percent):
            return run
        run.turn()
        run.cluster.settle(2)
    raise AssertionError(run.decide(run.cluster.seen()))


# -- sentences


def test_a_release_goes_through_its_steps_and_ends_as_the_stable_predictor() -> None:
    run = Run(serving(OLD))
    acts = finish(run)
    assert run.end == "promoted"
    assert acts == [("STAGE", 0), ("SHIFT", 10), ("SHIFT", 50), ("SHIFT", 100), ("RENAME", 100)]
    assert run.cluster.production == {GREEN: 100}
    assert set(run.cluster.deployments) == {GREEN}
    assert run.cluster.spec["predictor"]["name"] == "green"


def test_a_promotion_restarts_no_pod() -> None:
    run = reach(Run(serving(OLD)), 100)
    before = run.cluster.deployments[GREEN]
    decision = None
    while not run.end:
        decision = run.decide(run.cluster.seen())
        run.turn()
        run.cluster.settle(2)
    assert run.cluster.deployments[GREEN] is before
    assert before.rollout == 1
    assert isinstance(decision, Done)
    assert "without a restart" in decision.what


def test_names_alternate_from_release_to_release() -> None:
    cluster = serving(OLD, name="green")
    finish(Run(cluster))
    assert cluster.spec["predictor"]["name"] == "blue"


def test_a_predictor_without_a_name_is_adopted_and_gets_one() -> None:
    cluster = serving(OLD, name="")
    assert set(cluster.deployments) == {"m-predictor"}
    finish(Run(cluster))
    assert (set(cluster.deployments), cluster.production) == ({BLUE}, {BLUE: 100})


def test_an_incumbent_without_a_name_comes_back_under_one() -> None:
    cluster = serving(OLD, name="")
    run = reach(Run(cluster), 101)
    run.end = ""
    run.go_back()
    finish(run)
    assert (run.end, cluster.production) == ("returned", {GREEN: 100})
    assert cluster.deployments[GREEN].uri == OLD


def test_a_candidate_is_dark_until_every_pod_of_it_is_up_and_asked_for() -> None:
    run = Run(serving(OLD))
    run.turn()
    (entry,) = run.cluster.spec["canary"]
    assert (entry["trafficPercent"], entry["predictor"]["minReplicas"]) == (0, 1)
    assert entry["predictor"]["name"] == "green"
    run.cluster.settle()
    assert isinstance(run.decide(run.cluster.seen()), Wait)
    assert run.cluster.production == {BLUE: 100}


def test_nothing_is_relied_on_before_it_has_answered() -> None:
    run = reach(Run(serving(OLD)), 101)
    asked = ["m-green-predictor at m-green-predictor.default.svc.cluster.local"]
    assert list(run.journal.proofs) == asked
    run.end = ""
    run.go_back()
    finish(run)
    assert run.journal.proofs == (
        "m-blue-predictor at m-blue-predictor.default.svc.cluster.local",
        "m-blue-predictor at m.example.com",
    )


@pytest.mark.parametrize("percent", [0, 10, 50, 100])
def test_a_return_before_the_promotion_takes_the_traffic_first_and_drops_the_entry_after(
    percent: int,
) -> None:
    run = reach(Run(serving(OLD)), percent)
    run.go_back()
    acts = finish(run)
    shifts = [("SHIFT", 0)] if percent else []
    assert acts[-1 - len(shifts) :] == [*shifts, ("UNSTAGE", 0)]
    assert (run.end, run.cluster.production) == ("returned", {BLUE: 100})
    assert "canary" not in run.cluster.spec


def test_a_return_after_the_promotion_warms_the_incumbent_beside_the_candidate_first() -> None:
    run = reach(Run(serving(OLD)), 101)
    run.end = ""
    run.go_back()
    run.turn()
    run.cluster.settle()
    assert run.cluster.production == {GREEN: 100}
    acts = finish(run)
    assert acts[-3:] == [("RESTORE", 0), ("SHIFT", 100), ("RENAME", 0)]
    assert run.cluster.production == {BLUE: 100}
    assert run.cluster.spec["predictor"]["model"]["storageUri"] == OLD
    assert is_traffic_safe(run.cluster.seen(), run.journal)


def test_pods_come_before_the_share_that_needs_them() -> None:
    run = Run(serving(OLD, replicas=4))
    acts = finish(run)
    assert acts == [
        ("STAGE", 0), ("SHIFT", 10), ("SCALE", 10), ("SHIFT", 50), ("SCALE", 50), ("SHIFT", 100),
        ("RENAME", 100),
    ]  # fmt: skip
    assert run.cluster.deployments[GREEN].replicas == 4


def test_a_candidate_that_lost_its_share_after_100_is_not_made_the_stable_predictor() -> None:
    run = reach(Run(serving(OLD)), 100)
    run.cluster.routes["m"]["refs"] = [{"name": BLUE, "weight": 1}]
    assert not isinstance(run.decide(run.cluster.seen()), Act)


def test_a_promoted_candidate_whose_routes_still_name_the_incumbent_is_waited_for() -> None:
    run = reach(Run(serving(OLD)), 100)
    while run.cluster.spec["predictor"]["name"] == "blue":
        run.turn()
    assert isinstance(run.decide(run.cluster.seen()), Wait)


def test_a_promotion_taken_up_after_its_renaming_bakes_once_more_and_is_no_foreign_edit() -> None:
    run = reach(Run(serving(OLD)), 100)
    while run.cluster.spec["predictor"]["name"] == "blue":
        run.turn()
    run.left = [100]  # what is left to one that died after its last step
    assert trouble_of(run.cluster.seen(), run.journal) is None
    assert finish(run)[-1] == ("RENAME", 100)
    assert run.end == "promoted"
    assert run.cluster.production == {GREEN: 100}


def test_an_edit_of_a_promoted_predictor_stops_one_that_is_taken_up() -> None:
    run = reach(Run(serving(OLD)), 101)
    run.cluster.merge({"spec": {"predictor": {"timeout": 7}}})
    trouble = trouble_of(run.cluster.seen(), run.journal)
    assert trouble
    assert trouble.foreign
    assert "timeout was changed to 7" in trouble.reason


def test_the_policys_replicas_come_with_the_promotion() -> None:
    run = Run(serving(OLD))
    serving_of = {"serving": {"min_replicas": 2, "max_replicas": 5}}
    run.journal = run.journal.model_copy(update={"policy": serving_of})
    finish(run)
    predictor = run.cluster.spec["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 5)
    assert run.cluster.deployments[GREEN].rollout == 1


def test_a_candidate_that_never_loads_never_gets_a_share() -> None:
    run = Run(serving(OLD))
    finish(run, loads=False)
    assert (run.end, run.cluster.production) == ("returned", {BLUE: 100})


def test_a_candidate_that_dies_loses_its_share_to_the_stable_predictor_and_the_release_stops() -> (
    None
):
    run = reach(Run(serving(OLD)), 50)
    run.cluster.deployments[GREEN].pods = [False]
    run.cluster.loads[NEW] = False
    run.cluster.settle()
    assert run.cluster.production == {BLUE: 100}
    trouble = trouble_of(run.cluster.seen(), run.journal)
    assert trouble is not None
    assert "no longer ready" in trouble.reason
    finish(run, loads=False)
    assert run.end == "returned"


def test_no_route_is_written_while_the_stable_predictor_is_not_ready_and_the_wait_says_so() -> None:
    run = reach(Run(serving(OLD)), 50)
    run.cluster.deployments[BLUE].pods = [False]
    run.cluster.deployer()
    run.go_back()
    run.turn()
    run.cluster.settle(1)
    decision = run.decide(run.cluster.seen())
    assert isinstance(decision, Wait)
    assert "while the stable predictor is not ready" in decision.what
    assert run.cluster.production == {BLUE: 50, GREEN: 50}
    run.cluster.deployments[BLUE].pods = [True]
    finish(run)
    assert run.cluster.production == {BLUE: 100}


def test_a_route_that_waits_for_a_component_which_somebody_added_is_said_to() -> None:
    run = reach(Run(serving(OLD)), 50)
    run.go_back()
    run.turn()
    now = replace(run.cluster.seen(), companions={"explainer": {"containers": [{}]}})
    decision = run.decide(now)
    assert isinstance(decision, Wait)
    assert decision.what.endswith("while spec.explainer is not ready")


def test_a_staged_entry_that_kserve_never_acts_on_is_given_up_and_taken_back() -> None:
    run = Run(serving(OLD))
    run.turn()
    run.waited = RECONCILE_S + 1
    decision = run.decide(run.cluster.seen())
    assert isinstance(decision, Refuse)
    assert "no Deployment m-green-predictor" in decision.reason
    run.go_back()
    for _ in range(3):
        run.turn()
    assert "canary" not in run.cluster.spec


FOREIGN: dict[str, tuple[Callable[[Any], None], str]] = {
    "the percent": (
        lambda spec: spec["canary"][0].update(trafficPercent=20),
        "spec.canary[0].trafficPercent was changed to 20",
    ),
    "the canary's model": (
        lambda spec: spec["canary"][0]["predictor"]["model"].update(args=["-v"]),
        "spec.canary[0].predictor.model.args was changed to ['-v']",
    ),
    "no pods for the canary": (
        lambda spec: spec["canary"][0]["predictor"].update(minReplicas=0),
        "spec.canary[0].predictor.minReplicas was changed to 0",
    ),
    "a second canary": (
        lambda spec: spec["canary"].append(
            {"trafficPercent": 5, "predictor": {"name": "red", "model": {"storageUri": "s3://x/"}}}
        ),
        "spec.canary names red (s3://x/) at 5 %",
    ),
    "a transformer": (
        lambda spec: spec.update(transformer={"containers": [{"image": "t:1"}]}),
        "spec.transformer was added",
    ),
    "no canary": (lambda spec: spec.update(canary=[]), "our entry of spec.canary was removed"),
    "the stable predictor": (
        lambda spec: spec["predictor"].update(timeout=7),
        "spec.predictor.timeout was changed to 7",
    ),
    "the stable model": (
        lambda spec: spec["predictor"]["model"].update(storageUri="s3://m/9/"),
        "spec.predictor.model.storageUri was changed to s3://m/9/",
    ),
}


@pytest.mark.parametrize(("edit", "named"), FOREIGN.values(), ids=list(FOREIGN))
def test_a_foreign_edit_stops_the_release_and_is_named(
    edit: Callable[[Any], None], named: str
) -> None:
    run = reach(Run(serving(OLD)), 50)
    edit(run.cluster.spec)
    trouble = trouble_of(run.cluster.seen(), run.journal)
    assert trouble is not None
    assert (trouble.foreign, trouble.reason) == (True, named)


@pytest.mark.parametrize("percent", [0, 50, 100, 101])
def test_as_a_release_leaves_it_nothing_is_drift_and_an_edit_is_named(percent: int) -> None:
    run = reach(Run(serving(OLD)), percent)
    assert drift(run.cluster.seen(), run.journal) == ""
    run.cluster.spec["explainer"] = {"containers": [{"image": "e:1"}]}
    assert drift(run.cluster.seen(), run.journal) == "spec.explainer was added"
    del run.cluster.spec["explainer"]
    run.cluster.spec["predictor"]["timeout"] = 7
    assert "spec.predictor.timeout was changed to 7" in drift(run.cluster.seen(), run.journal)


@pytest.mark.parametrize(
    ("percent", "wanted"), [(50, '"trafficPercent":0'), (101, '"name":"blue"')]
)
def test_the_manual_command_takes_the_share_or_brings_the_incumbent_back(
    percent: int, wanted: str
) -> None:
    run = reach(Run(serving(OLD)), percent)
    command = manual_command(run.cluster.seen(), run.journal)
    assert command.startswith("kubectl -n default patch inferenceservice m --type merge -p ")
    assert wanted in command
    _, _, body = command.partition(" -p ")
    run.cluster.merge(json.loads(body.strip("'")))
    run.cluster.settle()
    (serving_now,) = run.cluster.production
    assert run.cluster.deployments[serving_now].uri == OLD


def test_somebody_elses_canary_is_kept_while_our_share_goes_to_0() -> None:
    run = reach(Run(serving(OLD)), 50)
    theirs = {"trafficPercent": 5, "predictor": {"name": "red", "model": {"storageUri": "s3://x/"}}}
    run.cluster.spec["canary"].append(theirs)
    run.go_back()
    run.turn()
    shares = {e["predictor"]["name"]: e["trafficPercent"] for e in run.cluster.spec["canary"]}
    assert shares == {"green": 0, "red": 5}
    run.cluster.loads["s3://x/"] = True
    for _ in range(20):
        run.turn()
        run.cluster.settle(2)
    assert run.end == "alarm"
    assert len(run.cluster.spec["canary"]) == 2


def test_every_patch_names_uid_and_version_for_the_list_is_written_whole() -> None:
    run = Run(serving(OLD))
    seen = run.cluster.seen()
    patch = patch_of(Act(kind=ActKind.STAGE, percent=0, why=""), seen, run.journal, WANTED)
    assert patch["metadata"] == {"resourceVersion": seen.resource_version, "uid": "u"}


# -- any order of events

TURNS = ("turn", "kserve", "kserve_objects", "deployer", "start_pods", "gateway")
FATES = ("loads", "dies", "fails")


def happen(run: Run, event: str) -> None:
    cluster = run.cluster
    also: dict[str, Callable[[], Any]] = {
        "turn": run.turn,
        "loads": lambda: cluster.loads.setdefault(NEW, True),
        "fails": lambda: cluster.loads.setdefault(NEW, False),
        "dies": run.go_back,
    }
    (also.get(event) or getattr(cluster, event))()


SCALED = {"scaleMetric": "cpu", "scaleTarget": 60}


def unscaling(cluster: Cluster) -> Run:
    """A release whose policy no longer says how the pods are scaled, as the one before did."""
    cluster.merge({"spec": {"predictor": SCALED}})
    run = Run(cluster)
    drops = tuple(Dropped(path=(key,), value=value) for key, value in SCALED.items())
    run.journal = run.journal.model_copy(update={"drops": drops})
    return run


# As a cluster works: pods come up between two reconciles, and the gateway is late or not.
UP = ("kserve", "deployer", "start_pods", "kserve")
ROUNDS = (("turn",), ("turn", "turn", "kserve_objects"), UP, (*UP, "gateway"), ("kserve_objects",))
ANY = st.lists(st.sampled_from((*TURNS * 4, *FATES)), max_size=80)


@settings(max_examples=500)
@given(before=ANY, rounds=st.integers(0, 14), after=ANY, name=st.sampled_from(["blue", "", "x"]))
def test_in_any_order_of_events_production_is_verified_and_the_share_is_the_steps(
    before: list[str], rounds: int, after: list[str], name: str
) -> None:
    run = unscaling(serving(OLD, name=name))
    good = ["loads", *(event for _ in range(rounds) for event in ("turn", *TURNS[1:] * 2))]
    for event in (*before, *good, *after):
        happen(run, event)
        run.check()
    finish(run)
    assert run.end in {"promoted", "returned"}
    uris = {run.cluster.deployments[name].uri for name in run.cluster.production}
    assert uris == ({NEW} if run.end == "promoted" else {OLD})
    scaled = {key: run.cluster.spec["predictor"].get(key) for key in SCALED}
    assert scaled == (dict.fromkeys(SCALED) if run.end == "promoted" else SCALED)


@settings(max_examples=300)
@given(rounds=st.lists(st.sampled_from(ROUNDS), max_size=40), name=st.sampled_from(["blue", ""]))
def test_in_any_order_of_events_a_return_after_the_promotion_loses_no_request(
    rounds: list[tuple[str, ...]], name: str
) -> None:
    run = reach(Run(serving(OLD, name=name, replicas=2)), 101)
    run.end = ""
    run.go_back()
    for event in (event for events in rounds for event in events):
        happen(run, event)
        run.check()
    finish(run)
    uris = {run.cluster.deployments[name].uri for name in run.cluster.production}
    assert (run.end, uris) == ("returned", {OLD})


@settings(max_examples=300)
@given(before=ANY, rounds=st.integers(0, 14), after=ANY, edit=st.sampled_from(sorted(FOREIGN)))
def test_whatever_somebody_else_writes_the_run_ends_and_the_candidate_has_no_more_than_its_step(
    before: list[str], rounds: int, after: list[str], edit: str
) -> None:
    run = Run(serving(OLD))
    good = ["loads", *(event for _ in range(rounds) for event in ("turn", *TURNS[1:] * 2))]
    for event in (*before, *good):
        happen(run, event)
        run.check()
    _edited(run.cluster, edit)
    allowed = max(run.share, 20)
    for event in after:
        happen(run, event)
    for _ in range(200):
        run.turn()
        run.cluster.settle(2)
        shares = run.cluster.production
        assert all(shares[n] <= max(allowed, run.share) for n in shares if n == GREEN)
        if run.end:
            break
    assert run.end in {"promoted", "returned", "alarm"}


def _edited(cluster: Cluster, edit: str) -> None:
    """As somebody else writes it; an edit of an entry needs one."""
    cluster.loads |= {"s3://x/": True, "s3://m/9/": True}
    if cluster.spec.get("canary") or edit.startswith("the stable"):
        cluster.version += 1
        FOREIGN[edit][0](cluster.spec)


# -- statuses, as KServe and the gateway write them


def seen(**changes: Any) -> Observation:
    """A candidate at 10 % of a healthy service, with parts of the model's state replaced."""
    run = reach(Run(serving(OLD)), 10)
    for path, value in changes.items():
        where, _, what = path.partition("__")
        held = run.cluster.deployments[GREEN] if where == "green" else run.cluster.routes[where]
        if isinstance(held, dict):
            held[what] = value
        else:
            setattr(held, what, value)
    return run.cluster.seen()


def test_a_revision_is_a_deployment_and_a_share_a_weight() -> None:
    read = seen()
    assert read.traffic == {BLUE: 90, GREEN: 10}
    assert (read.created, read.rolled_out, read.mode) == (GREEN, BLUE, "Standard")
    assert read.latest
    assert read.latest.host == "m-green-predictor.default.svc.cluster.local"
    assert read.prev
    assert read.prev.host == "m-blue-predictor.default.svc.cluster.local"
    assert read.host == "m.example.com"
    assert read.revisions[GREEN].storage_uri == NEW


def test_one_backend_without_a_weight_has_everything() -> None:
    read = serving(OLD).seen()
    assert read.traffic == {BLUE: 100}


def test_two_routes_that_disagree_are_no_finished_step() -> None:
    half = [{"name": BLUE, "weight": 50}, {"name": GREEN, "weight": 50}]
    read = seen(m__refs=half)
    assert read.traffic == {BLUE: 90, GREEN: 50}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"green__observed": 0}, "OutOfDate"),
        ({"green__said": {"available": 0, "pods": 1}}, "MinimumReplicasUnavailable"),
        ({"green__pods": [False]}, "ProgressDeadlineExceeded"),
    ],
    ids=["another generation", "no pod", "never came up"],
)
def test_a_deployment_that_is_not_known_to_serve_its_template_is_not_healthy(
    changes: dict[str, Any], said: str
) -> None:
    read = seen(**changes)
    assert not read.is_healthy(GREEN)
    assert read.revisions[GREEN].ready.reason == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"m__taken": 0}, "NoGateway"), ({"m__generation": 9}, "OutOfDate")],
    ids=["no gateway has taken it", "the gateway has an older one"],
)
def test_a_route_counts_once_every_gateway_has_taken_it(changes: dict[str, Any], said: str) -> None:
    condition = seen(**changes).condition("RoutesReady")
    assert (condition.status, condition.reason) != ("True", "")
    assert condition.reason == said


def test_a_first_release_is_live_when_its_routes_name_it_alone() -> None:
    cluster = serving(NEW)
    first = Journal(
        release_id="r", subject=SUBJECT, namespace="default", name="m", mode="Standard",
        deadline_s=0, storage_uri=NEW, template=cluster.seen().template, isvc_uid="u",
    )  # fmt: skip
    assert isinstance(next_for_stage(cluster.seen(), first, 0), Done)
    assert isinstance(next_for_confirm(cluster.seen(), first), Done)
    cluster.routes.clear()
    assert isinstance(next_for_stage(cluster.seen(), first, 0), Wait)
    created = next_for_stage(None, first.model_copy(update={"isvc_uid": ""}), 0)
    assert isinstance(created, Act)
    assert created.kind is ActKind.CREATE
    gone = next_for_return(cluster.seen(), first, 0)
    assert isinstance(gone, Act)
    assert gone.kind is ActKind.DELETE
