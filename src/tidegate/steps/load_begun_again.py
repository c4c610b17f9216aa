"""A load test begins again when pods came or went: what was planned for others compares unequal loads.

KServe itself does that in Standard mode. Beside a candidate that is ready it lowers the incumbent's floor
(PRED:877-900), and the HPA takes that pod away within 15 s, when the test has been planned.
"""

import time
from typing import TYPE_CHECKING

from tidegate.core import load_plan
from tidegate.documents import Arm, Finding
from tidegate.steps.load_beside import replicas_now
from tidegate.steps.load_sending import COMMAND, Sender
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.steps.load_session import Session

MOST_PLANS = 3  # pods that never settle are INVALID by the arms' loads, in words


def warm_up(session: "Session", sender: Sender) -> None:
    """Until both arms are warm, at the rates for the pods that there are at its end."""
    found = _warmed_up(session, sender)
    for _ in range(MOST_PLANS):
        if not _planned_anew(session, sender, _replicas(session, sender)):
            break
        found = _warmed_up(session, sender)
    session.findings += found


def begun_again(session: "Session", sender: Sender, replicas: tuple[int, int]) -> bool:
    """Whether the judged blocks are void and both arms are warm for a new plan.

    `replicas` are those that were scraped, which count now; what deploy saw is of before.
    """
    if not _planned_anew(session, sender, replicas):
        return False
    session.findings += _warmed_up(session, sender)
    return True


def _warmed_up(session: "Session", sender: Sender) -> list[Finding]:
    found = [sender.warmed_up(window) for window in session.planned.windows]
    return [one for one in found if one]


def _replicas(session: "Session", sender: Sender) -> tuple[int, int]:
    if session.planned.baseline_rps is None or sender.stop.is_set():
        return session.planned.replicas
    return replicas_now(session.deployed, session.policy, session.planned.replicas)


def _planned_anew(session: "Session", sender: Sender, replicas: tuple[int, int]) -> bool:
    before = session.planned.replicas
    if replicas == before:
        return False
    finding = load_plan.replanned(before, replicas)
    say(COMMAND, finding.message)
    told = {f"{window.arm} warm-up" for window in session.planned.windows}
    session.findings = [one for one in session.findings if one.name not in told] + [finding]
    session.planned = load_plan.plan(
        session.policy.load, has_incumbent=True, production=session.before, replicas=replicas
    )
    session.replicas = replicas
    session.planned_at, session.sent_before = time.monotonic(), sender.sent.get(Arm.BASELINE, 0)
    session.blocks.clear()
    return True
