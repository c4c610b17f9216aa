"""The bake of one traffic step: look at the evidence and at the cluster until it is decided."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tidegate.core.bake import distilled, next_for_bake
from tidegate.core.decisions import Done, Refuse, Wait
from tidegate.core.traffic import rules_of
from tidegate.documents import LiveLook, TrafficStep, Word
from tidegate.policy import Policy
from tidegate.steps.exposure import exposed_too_much
from tidegate.steps.stopping import stop_if_asked
from tidegate.steps.traffic_driver import SAY_EVERY_S, Driver

if TYPE_CHECKING:
    from tidegate.steps.live_gate import LiveEvidence


def bake(
    driver: Driver,
    policy: Policy,
    percent: int,
    judged: Callable[[], "LiveEvidence"],
    judge_every_s: float,
) -> Refuse | None:
    """Look at the evidence and at the cluster until there is enough of it, or too much of the wrong.

    In this order: what was judged must still be there, or the verdict is about something else.
    """
    started, said, looks = time.monotonic(), 0.0, list[LiveLook]()
    while True:
        stop_if_asked()
        evidence, baked = judged(), time.monotonic() - started
        looks.append(_look(evidence))
        trouble = rules_of(driver.journal).trouble_of(driver.look(), driver.journal)
        if trouble is not None:
            ended = traffic_step(driver, percent, trouble.word, trouble.reason)
            driver.add(ended.model_copy(update={"looks": distilled(looks)}))
            return trouble
        decision = next_for_bake(evidence, percent=percent, baked_s=baked, traffic=policy.traffic)
        if not isinstance(decision, Refuse):
            decision = exposed_too_much(driver.journal, policy, percent) or decision
        if not isinstance(decision, Wait):
            return _baked(driver, percent, evidence, decision, distilled(looks))
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            driver.say(f"baking for {baked:.0f} s: {decision.what}")
        time.sleep(judge_every_s)


def _look(evidence: "LiveEvidence") -> LiveLook:
    return LiveLook(
        at_s=time.time(),
        word=evidence.word,
        requests=evidence.requests,
        p99_ms=evidence.p99_ms,
        message=evidence.reason,
    )


def _baked(
    driver: Driver,
    percent: int,
    evidence: "LiveEvidence",
    decision: Done | Refuse,
    looks: tuple[LiveLook, ...],
) -> Refuse | None:
    figures = {
        "requests": evidence.requests,
        "p50_ms": evidence.p50_ms,
        "p95_ms": evidence.p95_ms,
        "p99_ms": evidence.p99_ms,
        "looks": looks,
        "findings": evidence.findings,
        "evidence": evidence.record,
    }
    driver.add(
        traffic_step(driver, percent, evidence.word, evidence.reason).model_copy(update=figures)
    )
    driver.say(f"{percent} %: {evidence.word}, {evidence.reason}")
    return decision if isinstance(decision, Refuse) else None


def traffic_step(driver: Driver, percent: int, word: Word, message: str) -> TrafficStep:
    """What the journal notes of a step that has been judged now."""
    return TrafficStep(
        at_s=time.time(),
        percent=percent,
        revision=driver.journal.candidate_revision,
        word=word,
        message=message,
    )
