"""One load test from plan to report: asks for production's rate, sends the blocks in turn, sums up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.core import curve, load_plan, measured
from tidegate.core.load_plan import Fairness, LoadPlan, PlannedBlock, Production
from tidegate.core.measured import Measured, Place
from tidegate.documents import (
    Arm,
    ArmSummary,
    Capacity,
    CrossCheck,
    CurvePoint,
    Deployment,
    Finding,
    LoadReport,
    Word,
)
from tidegate.errors import DocumentError
from tidegate.policy import Load, Policy
from tidegate.steps.load_accuracy import accuracy_findings
from tidegate.steps.load_begun_again import begun_again, warm_up
from tidegate.steps.load_beside import fairness_of, production_before
from tidegate.steps.load_companions import companion_findings
from tidegate.steps.load_cross_check import cross_checked
from tidegate.steps.load_guard import ProductionGuard, guarding
from tidegate.steps.load_sending import COMMAND, Sender, sending
from tidegate.steps.load_version import version_findings
from tidegate.steps.progress import say


@dataclass(slots=True, kw_only=True)
class Session:
    """What is sent, and what came of it so far. `deployed` is as it is measured: a dedicated baseline
    stands in the incumbent's place."""

    deployed: Deployment
    policy: Policy
    release_id: str
    planned: LoadPlan
    before: Production
    replicas: tuple[int, int] = (1, 1)
    started_s: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)
    planned_at: float = field(default_factory=time.monotonic)
    sent_before: int = 0  # to the baseline, by a plan that pods made void
    blocks: list[tuple[PlannedBlock, Measured]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    curve: tuple[CurvePoint, ...] = ()
    capacity: Capacity | None = None
    cross_check: CrossCheck | None = None

    def of(self, arm: Arm) -> tuple[Measured, ...]:
        """The judged blocks of one arm."""
        return tuple(m for block, m in self.blocks if block.arm is arm)

    @property
    def dedicated(self) -> str:
        """The InferenceService that is the baseline, when it is not the incumbent itself."""
        return self.deployed.baseline.name if self.deployed.baseline else ""


def run(deployed: Deployment, policy: Policy, golden: Path, release_id: str) -> LoadReport:
    """Plan, send, and report. Raises DocumentError when the plan does not fit."""
    _require_baseline(deployed, policy)
    measured_as = deployed.as_measured
    before, replicas = production_before(measured_as, policy)
    session = Session(
        deployed=measured_as,
        policy=policy,
        release_id=release_id,
        planned=load_plan.plan(
            policy.load,
            has_incumbent=deployed.incumbent is not None,
            production=before,
            replicas=replicas,
        ),
        before=before,
        replicas=replicas,
    )
    _say_plan(session)
    compared = session.planned.baseline_rps is not None
    with (
        sending(measured_as, policy, release_id, golden, compared=compared) as sender,
        guarding(deployed, policy, sender.stop) as guard,
    ):
        _measure(session, sender, guard)
        session.findings += version_findings(measured_as, policy, compared=compared)
        session.findings += accuracy_findings(measured_as, policy, golden)
        session.findings += companion_findings(measured_as, policy, golden.parent)
        report = _report(session, fairness_of(session, sender))
    _say_fitness(report)
    return report


def _require_baseline(deployed: Deployment, policy: Policy) -> None:
    """The deployment is what this policy asked for; a comparison with something else is none."""
    asked = policy.load.baseline == "dedicated" and deployed.incumbent is not None
    if asked and deployed.baseline is None:
        raise DocumentError(
            f"load.baseline is dedicated, but release {deployed.release_id} was deployed without one; run "
            "deploy with this policy"
        )


def _measure(session: Session, sender: Sender, guard: ProductionGuard | None) -> None:
    """Warm-up, blocks, extensions and the curve, as far as the guard lets them."""
    with _counting_cache_hits(session, sender):
        warm_up(session, sender)
        _send(session, sender, guard, session.planned.blocks)
        for extension in range(1, session.policy.load.max_extensions + 1):
            if sender.stop.is_set():
                break
            more = _more(session, sender, extension)
            if not more:
                break
            _send(session, sender, guard, more)
    if session.policy.load.curve and not sender.stop.is_set():
        _climb(session, sender)
    session.findings += _some(guard.finding if guard else None)


@contextmanager
def _counting_cache_hits(session: Session, sender: Sender) -> Iterator[None]:
    """Answers from the server's cache during the judged blocks are no evidence of the model's speed."""
    from tidegate.adapters.server_statistics import cache_hits

    if sender.fleets[Arm.CANDIDATE].way.dialect:  # KServe's own servers keep no answers
        yield
        return
    before = cache_hits(sender.fleets[Arm.CANDIDATE].way)
    yield
    after = cache_hits(sender.fleets[Arm.CANDIDATE].way)
    hits = (after or 0) - (before or 0)
    if hits > 0:
        session.findings.append(load_plan.cached(hits, sender.sent.get(Arm.CANDIDATE, 0)))


def _some(finding: Finding | None) -> list[Finding]:
    return [finding] if finding else []


def _send(
    session: Session,
    sender: Sender,
    guard: ProductionGuard | None,
    blocks: tuple[PlannedBlock, ...],
) -> None:
    for block in blocks:
        if guard:
            guard.await_sight()
        if sender.stop.is_set():
            return
        if time.monotonic() - session.clock > session.policy.load.max_duration_s:
            session.findings.append(_out_of_time(session))
            sender.stop.set()
            return
        name = (
            f"{len(session.blocks) + 1}/{max(len(session.blocks) + 1, len(session.planned.blocks))}"
        )
        session.blocks.append(
            (block, sender.block(block, f"{name} {block.arm} (pair {block.pair + 1})"))
        )


def _out_of_time(session: Session) -> Finding:
    sent, limit = len(session.blocks), session.policy.load.max_duration_s
    message = f"the load test had {limit:g} s (max_duration_s), which ended after {sent} blocks"
    return Finding(name="load test time", word=Word.INCONCLUSIVE, message=message)


def _climb(session: Session, sender: Sender) -> None:
    limit = curve.limit_of(session.policy.slo)
    points, ended, client = sender.curve(limit)
    session.curve = points
    session.capacity = curve.capacity(points, limit, replicas=session.replicas[0], ended=ended)
    say(COMMAND, f"capacity: {session.capacity.message}")
    if points and session.policy.load.cross_check and not sender.stop.is_set():
        session.cross_check = cross_checked(sender, points)
    if client:
        session.findings.append(
            Finding(name="curve", word=Word.INVALID, message=ended, blocking=False)
        )


def _more(session: Session, sender: Sender, extension: int) -> tuple[PlannedBlock, ...]:
    """The blocks to send next: of a new plan where pods came or went, else of an extension; () at the end."""
    fair = fairness_of(session, sender)
    if not fair.fair and begun_again(session, sender, fair.replicas):
        return session.planned.blocks
    if _is_decided(session, fair, extension):
        return ()
    return load_plan.extended(session.planned, session.policy.load, extension)


def _is_decided(session: Session, fair: Fairness, extension: int) -> bool:
    from tidegate.core.slo import judge, of_blocks, per_look

    policy, report = session.policy, _report(session, fair)
    judged = judge(
        report,
        per_look(of_blocks(policy.slo), policy.load),
        first_release=session.deployed.incumbent is None,
    )
    if judged.word is not Word.INCONCLUSIVE:
        return True
    say(COMMAND, f"extension {extension} of {policy.load.max_extensions}: {judged.reason}")
    return False


def _say_plan(session: Session) -> None:
    planned, rate = session.planned, session.before.rate_rps
    production = "an unknown rate" if rate is None else f"{rate:.1f} rps"
    baseline = "no baseline"
    if planned.baseline_rps is not None:
        baseline = f"{planned.baseline_rps:g} rps on the incumbent beside production's {production}"
        if session.dedicated:
            baseline = f"{planned.baseline_rps:g} rps on the dedicated baseline {session.dedicated}"
    say(
        COMMAND,
        f"{len(planned.blocks)} blocks and the warm-up take {planned.duration_s:.0f} s: "
        f"{planned.candidate_rps:.1f} rps on the candidate, {baseline}",
    )
    less = load_plan.reduced(session.policy.load)
    if less:
        say(COMMAND, f"less evidence than the default: {less}")


def _arm(session: Session, fair: Fairness, arm: Arm) -> ArmSummary:
    deployed, planned = session.deployed, session.planned
    if arm is Arm.CANDIDATE:
        place = Place(
            arm=arm,
            host=deployed.candidate_host,
            revision=deployed.candidate_revision,
            rate_rps=planned.candidate_rps,
            total_rate_rps=fair.candidate_rps,
            replicas=fair.replicas[0],
        )
    else:
        place = Place(
            arm=arm,
            host=deployed.incumbent_host,
            revision=deployed.incumbent.revision if deployed.incumbent else "",
            rate_rps=planned.baseline_rps or 0.0,
            total_rate_rps=fair.baseline_rps,
            replicas=fair.replicas[1],
            service=session.dedicated,
        )
    return measured.arm_summary(place, session.of(arm))


def _report(session: Session, fair: Fairness) -> LoadReport:
    compared = session.planned.baseline_rps is not None
    load: Load = session.policy.load
    return LoadReport(
        subject=session.deployed.subject,
        release_id=session.release_id,
        started_s=session.started_s,
        ended_s=time.time(),
        protocol=load.protocol,
        candidate=_arm(session, fair, Arm.CANDIDATE),
        baseline=_arm(session, fair, Arm.BASELINE) if compared else None,
        blocks=tuple(measured.block(block, sent) for block, sent in session.blocks),
        generator=measured.generator((sent for _, sent in session.blocks), load),
        fairness=fair.text,
        fair=fair.fair,
        reduced=load_plan.reduced(load),
        findings=tuple(session.findings),
        curve=session.curve,
        capacity=session.capacity,
        cross_check=session.cross_check,
    )


def _say_fitness(report: LoadReport) -> None:
    fit = report.generator
    say(COMMAND, report.fairness)
    say(
        COMMAND,
        f"the generator was {fit.lag_p99_ms:.1f} ms late (p99), used {fit.cpu_share:.0%} of a core, "
        f"sent {fit.delivered_ratio:.1%}{': ' + fit.message if fit.saturated else ''}",
    )
