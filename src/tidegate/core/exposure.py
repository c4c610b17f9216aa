"""How much of a release users have seen: what the policy lets them see, and since when. Pure."""

from tidegate.core.decisions import Refuse
from tidegate.core.journal import Journal
from tidegate.documents import Word
from tidegate.policy import Exposure


def exposed_since(journal: Journal) -> float | None:
    """When the first share of production was ordered for the candidate (Unix time); None: never.

    From the journal, so whoever takes a promotion up again counts from the same moment.
    """
    shares = [act.intended_s for act in journal.acts if act.percent]
    return min(shares, default=None)


def overspent(
    exposure: Exposure, *, requests: int, errors: int, percent: int, since_s: float
) -> Refuse | None:
    """Why the release ends now, or None. Requests are limited below 100 % only: there it has been judged."""
    most_errors, most_requests = exposure.max_errors, exposure.max_requests
    told = f"since its first share {since_s:.0f} s ago"
    if most_errors is not None and errors > most_errors:
        reason = (
            f"users have seen {errors} errors of the candidate {told}, "
            f"traffic.exposure allows {most_errors}"
        )
        return Refuse(word=Word.FAIL, reason=reason, urgent=True)
    if most_requests is not None and percent < 100 and requests > most_requests:
        reason = (
            f"the candidate has answered {requests} requests {told}, traffic.exposure allows "
            f"{most_requests} below 100 %; raise it, or let fewer or shorter steps decide"
        )
        return Refuse(word=Word.INCONCLUSIVE, reason=reason)
    return None
