"""The rules of when production may move, in sentences; then against any order of events."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.knative_model import Cluster, serving
from tidegate.core.claim import Claim, claim
from tidegate.core.decisions import RECONCILE_S, Act, Decision, Done, Prove, Refuse, Wait
from tidegate.core.dropped import Dropped
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.knative import next_for_return, next_for_stage, next_for_step, patch_of
from tidegate.core.manifest import shift_patch
from tidegate.core.observation import Observation
from tidegate.documents import Probe, Subject
from tidegate.policy import Policy

TIMEOUT = 100  # turns that staging or a step may take before the driver turns back
OLDER, OLD, NEW = "s3://m/0/", "s3://m/1/", "s3://m/2/"
POLICY = Policy.model_validate(
    {"name": "m", "adopt": "allow", "model": {"uri": "models:/m/2"}}  # others' services move alike
)
SUBJECT = Subject(model="m", version="2", digest=f"sha256:{0:064d}")


def journal_for(cluster: Cluster) -> Journal:
    start = claim(cluster.seen(), POLICY, NEW)
    assert isinstance(start, Claim), start
    assert start.incumbent
    start = replace(start, incumbent=start.incumbent.model_copy(update={"probe": probe("1")}))
    return Journal(
        release_id="r", subject=SUBJECT, namespace="default", name="m", isvc_uid=start.uid,
        deadline_s=0, incumbent=start.incumbent, created_before=start.created_before,
        uri_before=start.uri_before, storage_uri=NEW, probe=probe("2"),
    )  # fmt: skip


def probe(version: str) -> Probe:
    return Probe(model="m", inputs=(), version=version)


class Run:
    """A driver without I/O: one turn reads, decides and writes; the journal outlives a crash."""

    def __init__(self, cluster: Cluster, steps: tuple[int, ...] = (10, 50, 100)) -> None:
        self.cluster, self.journal = cluster, journal_for(cluster)
        self.left = list(steps)
        self.verified = set(cluster.revisions)
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
        elif isinstance(decision, Prove):
            self.prove(decision)
        elif isinstance(decision, Done):
            self.done()
        elif isinstance(decision, Refuse):
            self.refused()

    def decide(self, seen: Observation) -> Decision:
        if self.is_returning:
            return next_for_return(seen, self.journal, self.waited)
        if not self.is_staged:
            return next_for_stage(seen, self.journal, self.waited)
        return next_for_step(seen, self.journal, self.left[0])

    def prove(self, proof: Prove) -> None:
        """A request reaches what the routes say now; only one revision behind the host proves it."""
        reached = self.cluster.answers(proof.host)
        uris = {self.cluster.revisions[name]["uri"] for name in reached}
        up = all(self.cluster.revisions[name]["ready"] for name in reached)
        if up and uris == {NEW if proof.probe.version == "2" else OLD}:
            self.verified |= reached
            proofs = (*self.journal.proofs, proof.key)
            self.journal = self.journal.model_copy(update={"proofs": proofs})

    def write(self, act: Act) -> None:
        record = ActRecord(kind=act.kind, percent=act.percent, intended_s=0)
        self.journal = self.journal.intending(record)
        if not self.is_returning:
            self.share = act.percent or 0
        if act.kind is ActKind.FREE:
            self.cluster.delete(act.revision)
            return
        seen, wanted = self.cluster.seen(), {"model": {"storageUri": NEW}}
        self.cluster.merge(patch_of(act, seen, self.journal, wanted))

    def done(self) -> None:
        self.journal, self.waited = self.journal.confirming(1), 0
        if self.is_returning:
            self.end = "returned"
        elif not self.is_staged:
            self.is_staged, seen = True, self.cluster.seen()
            candidate = seen.created
            noted = {"candidate_revision": candidate, "template": seen.template}
            self.journal = self.journal.model_copy(update=noted)
        else:
            self.left.pop(0)
            self.end = "" if self.left else "promoted"

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
        for name, percent in self.cluster.production.items():
            revision = self.cluster.revisions[name]
            assert name in self.verified, f"{name} serves unverified"
            if revision["uri"] == NEW:
                assert percent <= self.share, f"{name} has {percent} %, its step is {self.share} %"


# -- sentences


def test_a_release_goes_through_its_steps_and_ends_promoted() -> None:
    run = Run(serving(OLD))
    acts = finish(run)
    assert run.end == "promoted"
    assert acts == [("STAGE", 0), ("SHIFT", 10), ("SHIFT", 50), ("SHIFT", 100)]
    assert run.cluster.production == {"r2": 100}


@pytest.mark.parametrize("done", [1, 2])
def test_a_return_before_100_takes_the_traffic_first_and_repairs_the_spec_after(done: int) -> None:
    run = Run(serving(OLD))
    while len(run.left) > 3 - done:
        run.turn()
        run.cluster.settle()
        run.cluster.decide_loads(NEW, ready=True)
    run.go_back()
    acts = finish(run)[-3:]
    assert acts == [("SHIFT", 0), ("RESTORE", 0), ("SHIFT", 100)]
    assert (run.end, run.cluster.production) == ("returned", {"r3": 100})


def test_a_re_created_incumbent_is_given_production_by_the_policys_steps() -> None:
    run = Run(serving(OLD))
    steps = {"traffic": {"steps": [10, 50, 100]}}
    run.journal = run.journal.model_copy(update={"policy": steps})
    while len(run.left) > 2:
        run.turn()
        run.cluster.settle()
        run.cluster.decide_loads(NEW, ready=True)
    run.go_back()
    acts = finish(run)[-5:]
    assert acts == [("SHIFT", 0), ("RESTORE", 0), ("SHIFT", 10), ("SHIFT", 50), ("SHIFT", 100)]


def test_a_re_created_incumbent_is_not_proved_through_a_host_that_still_reaches_the_one_before() -> (
    None
):
    """Both serve the same version, so an answer could not tell them apart."""
    run = Run(serving(OLD))
    while not run.is_staged:
        run.turn()
        run.cluster.settle()
        run.cluster.decide_loads(NEW, ready=False)
        if run.is_returning:
            break
    while run.cluster.predictor["model"]["storageUri"] == NEW:
        run.turn()
    for turn in ("kserve", "service", "configure"):
        getattr(run.cluster, turn)()
    run.cluster.decide_loads(OLD, ready=True)
    for turn in ("configure", "service", "kserve"):  # the route's own turn has not come yet
        getattr(run.cluster, turn)()
    decision = run.decide(run.cluster.seen())
    assert isinstance(decision, Wait), decision
    assert decision.what == "the routes to know r3"
    finish(run)
    assert (run.end, run.cluster.production) == ("returned", {"r3": 100})


def test_a_return_after_100_warms_the_incumbents_template_before_anything_moves() -> None:
    run = Run(serving(OLDER, OLD))
    finish(run)
    run.end, production = "", run.cluster.production
    run.go_back()
    run.turn()
    assert [a.kind for a in run.journal.acts][-1] is ActKind.RESTORE
    run.cluster.settle()
    assert run.cluster.production == production
    finish(run)
    assert run.cluster.revisions[next(iter(run.cluster.production))]["uri"] == OLD


def test_a_candidate_that_died_at_50_is_left_although_knative_applies_no_percent() -> None:
    run = Run(serving(OLD))
    while run.left[0] == 10 or run.cluster.production.get("r2") != 50:
        run.turn()
        run.cluster.settle()
        run.cluster.decide_loads(NEW, ready=True)
    run.cluster.revisions["r2"]["ready"] = False
    run.cluster.settle()
    finish(run)
    assert (run.end, run.cluster.production) == ("returned", {"r3": 100})


def test_users_leave_a_dead_candidate_before_the_incumbent_has_been_loaded_again() -> None:
    run = Run(serving(OLD))
    while run.left[0] == 10 or run.cluster.production.get("r2") != 50:
        run.turn()
        run.cluster.settle()
        run.cluster.decide_loads(NEW, ready=True)
    run.cluster.revisions["r2"]["ready"] = False
    for _ in range(20):
        run.cluster.settle()
        run.turn()
    assert run.cluster.revisions["r3"]["ready"] is None
    assert run.cluster.production == {"r1": 100}


def test_a_candidate_that_never_loads_never_gets_a_share() -> None:
    run = Run(serving(OLD))
    finish(run, loads=False)
    assert run.end == "returned"
    assert run.cluster.revisions[next(iter(run.cluster.production))]["uri"] == OLD


def test_a_staged_spec_that_kserve_has_not_acted_on_is_not_restored_at_0() -> None:
    """That would meet the rolled-out template, and KServe would roll back one release further."""
    run = Run(serving(OLDER, OLD))
    run.turn()
    run.go_back()
    assert isinstance(run.decide(run.cluster.seen()), Wait)
    run.waited = RECONCILE_S + 1
    decision = run.decide(run.cluster.seen())
    assert isinstance(decision, Act)
    assert (decision.kind, decision.percent) == (ActKind.UNSTAGE, None)
    run.write(decision)
    finish(run)
    assert run.cluster.production == {"r2": 100}


def test_the_race_of_route_before_configuration_is_noticed_and_undone() -> None:
    run = Run(serving(OLDER, OLD))
    run.turn()
    for turn in ("kserve", "service", "program", "service", "kserve"):
        getattr(run.cluster, turn)()
    run.cluster.settle()
    assert isinstance(run.decide(run.cluster.seen()), Refuse)
    finish(run)
    assert run.end == "returned"
    assert run.cluster.revisions[next(iter(run.cluster.production))]["uri"] == OLD


def test_a_percent_that_somebody_reverted_after_it_was_seen_stops_the_release() -> None:
    run = Run(serving(OLD))
    while len(run.left) == 3:
        run.turn()
        run.cluster.settle()
        run.cluster.decide_loads(NEW, ready=True)
    run.cluster.merge(shift_patch(0))
    run.cluster.settle()
    decision = next_for_step(run.cluster.seen(), run.journal, 50)
    assert isinstance(decision, Refuse)
    assert decision.foreign


def test_another_template_under_our_percent_is_left_to_its_owner_with_our_share_at_0() -> None:
    run = Run(serving(OLD))
    while run.cluster.production.get("r2") != 10:
        run.turn()
        run.cluster.settle()
        run.cluster.decide_loads(NEW, ready=True)
    run.cluster.merge({"spec": {"predictor": {"model": {"storageUri": "s3://m/9/"}}}})
    run.cluster.settle()
    run.go_back()
    finish(run)
    assert run.end == "alarm"
    assert run.cluster.production == {"r1": 100}
    assert run.cluster.predictor["model"]["storageUri"] == "s3://m/9/"


def finish(run: Run, *, loads: bool = True, turns: int = 200) -> list[tuple[str, int | None]]:
    """Let everything happen in good order until the run ends."""
    for _ in range(turns):
        run.turn()
        run.cluster.settle(2)
        run.cluster.decide_loads(NEW, ready=loads)
        run.cluster.decide_loads(OLD, ready=True)
        run.cluster.settle(2)
        run.check()
        if run.end:
            break
    assert run.end, run.decide(run.cluster.seen())
    run.cluster.settle()
    return [(a.kind.value, a.percent) for a in run.journal.acts]


# -- any order of events

THEIRS: dict[str, Any] = {"nodeSelector": {"zone": "a"}, "labels": {"team": "risk"}, "timeout": 9}
DROPPED = (("nodeSelector", "pool"), ("affinity",), ("labels", "from"))


def dropping(cluster: Cluster) -> Run:
    """A release whose policy no longer names what the one before wrote beside somebody else's fields."""
    ours = {"nodeSelector": {"pool": "gpu"}, "affinity": {"a": [1]}, "labels": {"from": "1"}}
    cluster.merge({"spec": {"predictor": THEIRS}})
    cluster.merge({"spec": {"predictor": ours}})
    run = Run(cluster)
    values = {"pool": "gpu", "affinity": {"a": [1]}, "from": "1"}
    drops = tuple(Dropped(path=path, value=values[path[-1]]) for path in DROPPED)
    run.journal = run.journal.model_copy(update={"drops": drops})
    return run


EVENTS = (
    "turn",
    "kserve",
    "service",
    "configure",
    "program",
    "loads",
    "old loads",
    "fails",
    "dies",
)


def happen(run: Run, event: str) -> None:
    cluster = run.cluster
    also: dict[str, Callable[[], None]] = {
        "turn": run.turn,
        "loads": lambda: cluster.decide_loads(NEW, ready=True),
        "old loads": lambda: cluster.decide_loads(OLD, ready=True),
        "fails": lambda: cluster.decide_loads(NEW, ready=False),
        "dies": run.go_back,
    }
    (also.get(event) or getattr(cluster, event))()


ANY = st.lists(
    st.sampled_from((*EVENTS[:5] * 4, *EVENTS[5:7] * 3, *EVENTS[7:])), min_size=0, max_size=60
)


@settings(max_examples=500)
@given(before=ANY, rounds=st.integers(0, 12), after=ANY)
def test_in_any_order_of_events_production_is_verified_and_the_share_is_the_steps(
    before: list[str], rounds: int, after: list[str]
) -> None:
    run = dropping(serving(OLDER, OLD))
    was = run.cluster.seen().template
    good = [event for _ in range(rounds) for event in ("turn", *EVENTS[1:5] * 2, "loads")]
    for event in (*before, *good, *after):
        happen(run, event)
        run.check()
    finish(run)
    assert run.end in {"promoted", "returned"}
    uris = {run.cluster.revisions[name]["uri"] for name in run.cluster.production}
    assert uris == ({NEW} if run.end == "promoted" else {OLD})
    new = {"model": {"storageUri": NEW}, **THEIRS}
    assert run.cluster.seen().template == (new if run.end == "promoted" else was)


# -- the model against the committed scenarios

SHARED = os.environ.get("TIDEGATE_SHARED", "")


@pytest.mark.skipif(not SHARED, reason="TIDEGATE_SHARED names no folder")
def test_the_model_reproduces_every_scenario_of_the_oracle() -> None:
    path = Path(SHARED) / "oracles" / "kserve_canary_scenarios.json"
    scenarios = json.loads(path.read_text())
    assert scenarios
    for name, operations in scenarios.items():
        cluster = Cluster()
        for operation in operations:
            expected = operation["expect"]
            assert _after(cluster, operation) == expected, f"{name}: {operation['op']}"


def _after(cluster: Cluster, operation: dict[str, Any]) -> dict[str, Any]:
    given = operation["arg"]
    if operation["op"] == "ready":
        cluster.revisions[f"r{int(given[1:])}"]["ready"] = True
    else:
        model = {"model": {"storageUri": given["uri"]}} if "uri" in given else {}
        percent = {"canaryTrafficPercent": given["canary"]} if "canary" in given else {}
        cluster.merge({"spec": {"predictor": model | percent}})
    cluster.settle()
    held = cluster.component
    return {
        "latestCreatedRevision": _long(held.get("created", "")),
        "latestReadyRevision": _long(held.get("ready", "")),
        "latestRolledoutRevision": _long(held.get("rolled", "")),
        "previousRolledoutRevision": _long(held.get("before", "")),
        "traffic": [
            {
                "revisionName": _long(e["revision"]),
                "percent": e["percent"],
                "latestRevision": e["latest"],
                "tag": e["tag"],
            }
            for e in held.get("traffic", [])
        ],
    }


def _long(name: str) -> str:
    return f"r{int(name[1:]):05d}" if name else ""
