"""One load test from plan to report: asks for production's rate, sends the blocks in turn, sums up."""

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core import load_plan, measured
from tidegate.core.load_plan import Fairness, LoadPlan, PlannedBlock, Production
from tidegate.core.measured import Measured, Place
from tidegate.documents import Arm, ArmSummary, Deployment, LoadReport, Word
from tidegate.policy import Load, Policy
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.load import Lane

COMMAND = "load-test"
PROGRESS_S = 4.0


@dataclass(slots=True, kw_only=True)
class Session:
    """What is sent, and what came of it so far."""

    deployed: Deployment
    policy: Policy
    release_id: str
    planned: LoadPlan
    before: Production
    blocks: list[tuple[PlannedBlock, Measured]] = field(default_factory=list)

    def of(self, arm: Arm) -> tuple[Measured, ...]:
        """The judged blocks of one arm."""
        return tuple(m for block, m in self.blocks if block.arm is arm and not block.warmup)

    def requests(self, arm: Arm) -> int:
        """Every request sent to an arm, warm-up included."""
        return sum(m.delivered for block, m in self.blocks if block.arm is arm)


def run(deployed: Deployment, policy: Policy, golden: Path, release_id: str) -> LoadReport:
    """Plan, send, and report. Raises DocumentError when the plan does not fit."""
    before = _production_before(deployed, policy)
    session = Session(
        deployed=deployed,
        policy=policy,
        release_id=release_id,
        planned=load_plan.plan(
            policy.load, has_incumbent=deployed.incumbent is not None, production=before
        ),
        before=before,
    )
    _say_plan(session)
    started, clock = time.time(), time.monotonic()
    _send(session, golden, session.planned.blocks)
    report = _report(session, _fairness(session, time.monotonic() - clock), started)
    for extension in range(1, policy.load.max_extensions + 1):
        if not _wants_more(session, report, extension):
            break
        _send(session, golden, load_plan.extended(session.planned, policy.load, extension))
        report = _report(session, _fairness(session, time.monotonic() - clock), started)
    _say_fitness(report)
    return report


def _wants_more(session: Session, report: LoadReport, extension: int) -> bool:
    from tidegate.core.slo import judge, per_look

    policy = session.policy
    judged = judge(
        report,
        per_look(policy.slo, policy.load),
        first_release=session.deployed.incumbent is None,
    )
    if judged.word is not Word.INCONCLUSIVE:
        return False
    say(COMMAND, f"extension {extension} of {policy.load.max_extensions}: {judged.reason}")
    return True


def _production_before(deployed: Deployment, policy: Policy) -> Production:
    from tidegate.adapters.revision_metrics import open_metrics

    if deployed.incumbent is None or policy.load.baseline == "none":
        return Production(rate_rps=0.0)
    metrics, why = open_metrics(policy, deployed)
    if metrics is None:
        return Production(rate_rps=None, why=why)
    say(COMMAND, f"asking Prometheus what {deployed.incumbent.revision} serves now")
    return metrics.production(deployed.incumbent.revision)


def _say_plan(session: Session) -> None:
    planned, rate = session.planned, session.before.rate_rps
    production = "an unknown rate" if rate is None else f"{rate:.1f} rps"
    baseline = "no baseline"
    if planned.baseline_rps is not None:
        baseline = f"{planned.baseline_rps:g} rps on the incumbent beside production's {production}"
    say(
        COMMAND,
        f"{len(planned.blocks)} blocks with warm-up take {planned.duration_s:.0f} s: "
        f"{planned.candidate_rps:.1f} rps on the candidate, {baseline}",
    )
    less = load_plan.reduced(session.policy.load)
    if less:
        say(COMMAND, f"less evidence than the default: {less}")


def _send(session: Session, golden: Path, blocks: tuple[PlannedBlock, ...]) -> None:
    from tidegate.adapters import lanes

    deployed, policy = session.deployed, session.policy
    ways = {Arm.CANDIDATE: lanes.candidate_lane(deployed, policy, golden_path=golden)}
    if session.planned.baseline_rps is not None:
        ways[Arm.BASELINE] = lanes.baseline_lane(deployed, policy, golden_path=golden)
    try:
        for block in blocks:
            number = len(session.blocks)
            session.blocks.append((block, _send_block(session, number, block, ways)))
    finally:
        for way in ways.values():
            way.close()


def _send_block(
    session: Session, number: int, block: PlannedBlock, ways: "Mapping[Arm, Lane]"
) -> Measured:
    from tidegate.adapters.load import arrivals, send_block

    name = f"{number + 1}/{max(number + 1, len(session.planned.blocks))} {block.arm}"
    name += " (warm-up)" if block.warmup else f" (pair {block.pair + 1})"
    starts = arrivals(
        session.policy.load.arrivals,
        requests=block.requests,
        duration_s=block.duration_s,
        seed=zlib.crc32(f"{session.release_id}/{number}".encode()),
    )
    sent = send_block(
        ways[block.arm],
        starts,
        lambda running: say(COMMAND, _line(name, running)),
        watch_every_s=PROGRESS_S,
    )
    say(COMMAND, _line(name, sent))
    return sent


def _line(name: str, running: Measured) -> str:
    latencies = running.latencies_ms
    shown = ", ".join(
        f"p{share * 100:g} {value:.1f} ms"
        for share in (0.5, 0.95, 0.99)
        if (value := measured.quantile(latencies, share)) is not None
    )
    text = f"block {name}: {len(running.sent)}/{running.offered} requests, {shown or 'no answer'}"
    if running.errors or running.wrong:
        text += f", {running.errors} failed, {running.wrong} wrong ({running.first_problem})"
    return text


def _fairness(session: Session, elapsed_s: float) -> Fairness:
    from tidegate.adapters.revision_metrics import open_metrics

    incumbent, candidate = session.deployed.incumbent, session.deployed.candidate_revision
    during, replicas = Production(rate_rps=None, why=session.before.why), (1, 1)
    metrics, _ = open_metrics(session.policy, session.deployed)
    if incumbent and metrics and session.planned.baseline_rps is not None:
        say(COMMAND, f"asking Prometheus what {incumbent.revision} served during the test")
        during = metrics.beside(
            incumbent.revision, elapsed_s=elapsed_s, sent=session.requests(Arm.BASELINE)
        )
        replicas = (metrics.replicas(candidate), metrics.replicas(incumbent.revision))
    fair = load_plan.fairness(
        session.planned,
        has_incumbent=incumbent is not None,
        before=session.before,
        during=during,
        replicas=replicas,
    )
    return load_plan.failing_baseline(
        fair,
        requests=sum(m.offered for m in session.of(Arm.BASELINE)),
        bad=sum(m.errors + m.wrong for m in session.of(Arm.BASELINE)),
    )


def _arm(session: Session, fair: Fairness, arm: Arm) -> ArmSummary:
    deployed, planned = session.deployed, session.planned
    if arm is Arm.CANDIDATE:
        place = Place(
            arm=arm,
            host=deployed.candidate_host,
            revision=deployed.candidate_revision,
            rate_rps=planned.candidate_rps,
            total_rate_rps=fair.candidate_rps,
        )
    else:
        place = Place(
            arm=arm,
            host=deployed.incumbent_host,
            revision=deployed.incumbent.revision if deployed.incumbent else "",
            rate_rps=planned.baseline_rps or 0.0,
            total_rate_rps=fair.baseline_rps,
        )
    return measured.arm_summary(place, session.of(arm))


def _report(session: Session, fair: Fairness, started_s: float) -> LoadReport:
    judged = [(block, sent) for block, sent in session.blocks if not block.warmup]
    compared = session.planned.baseline_rps is not None
    load: Load = session.policy.load
    return LoadReport(
        subject=session.deployed.subject,
        release_id=session.release_id,
        started_s=started_s,
        ended_s=time.time(),
        protocol=load.protocol,
        candidate=_arm(session, fair, Arm.CANDIDATE),
        baseline=_arm(session, fair, Arm.BASELINE) if compared else None,
        blocks=tuple(measured.block(block, sent) for block, sent in judged),
        generator=measured.generator((sent for _, sent in judged), load),
        fairness=fair.text,
        fair=fair.fair,
        reduced=load_plan.reduced(load),
    )


def _say_fitness(report: LoadReport) -> None:
    fit = report.generator
    say(COMMAND, report.fairness)
    say(
        COMMAND,
        f"the generator was {fit.lag_p99_ms:.1f} ms late (p99), used {fit.cpu_share:.0%} of a core, "
        f"sent {fit.delivered_ratio:.1%}{': ' + fit.message if fit.saturated else ''}",
    )
