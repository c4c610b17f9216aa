"""Whether production suffers while load is sent: then the load is not worth it, whatever it would show.

The incumbent's own requests since the test began are tested against the policy's absolute objectives by the
same anytime-valid tests as a live step (core.sequential), so looking often costs nothing.
"""

import math
from dataclasses import dataclass

from tidegate.core.counters import Served
from tidegate.documents import Finding, Word
from tidegate.policy import ErrorSlo, LatencySlo, Slo

GUARD = "production guard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One look: what production's revision served since the test began (None: nothing, so nobody is there to
    suffer), or why that is not known."""

    served: Served | None = None
    unknown: str = ""


def harm(watched: Watched, slo: Slo) -> Finding | None:
    """The INVALID finding that stops the load; None: nothing shows that production suffers."""
    from tidegate.core import sequential  # scipy: not for every `tidegate --help`

    served = watched.served
    if served is None or not served.requests:
        return None
    objectives = [one for one in slo.objectives if isinstance(one, ErrorSlo | LatencySlo)]
    alpha = slo.alpha_fail / max(1, len(objectives))
    for objective in objectives:
        bad, share, what = _bad(objective, served)
        log_e = sequential.log_e_over_limit(bad, served.requests, limit=share)
        if sequential.fires(log_e, alpha):
            words = (
                f"{bad} of {served.requests} requests to the incumbent {what} (allowed {share:.3g})"
            )
            odds = f"evidence {math.exp(min(log_e, 40)):.3g} : 1"
            return _stopped(f"production suffered: {words}, {odds}", served, bad, share)
    return None


def _bad(objective: ErrorSlo | LatencySlo, served: Served) -> tuple[int, float, str]:
    """How many requests surely broke an objective, the share that may, and what they did."""
    if isinstance(objective, ErrorSlo):
        return served.errors, objective.limit, "answered 5xx"
    fewest, _ = served.latency.over(objective.limit_ms)
    return fewest, 1 - objective.quantile, f"took more than {objective.limit_ms:g} ms"


def blind(watched: Watched, waited_s: float) -> Finding:
    """The INVALID finding when production could not be watched."""
    held = f" for {waited_s:.0f} s" if waited_s else ""
    return _stopped(f"production could not be watched{held} ({watched.unknown})")


def _stopped(words: str, served: Served | None = None, bad: int = 0, share: float = 0.0) -> Finding:
    return Finding(
        name=GUARD,
        word=Word.INVALID,
        observed=bad / served.requests if served else None,
        limit=share if served else None,
        samples=served.requests if served else None,
        message=f"the load was stopped: {words}",
    )
