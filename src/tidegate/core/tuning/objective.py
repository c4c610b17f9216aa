"""What a tuned model must keep: a latency quantile within its limit, and few errors."""

from dataclasses import dataclass

from tidegate.core.curve import Limit, limit_of
from tidegate.errors import DocumentError
from tidegate.policy import ErrorSlo, Slo

USUAL_ERRORS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """`limit.limit_ms` is never None here; `max_errors` is a share of the requests."""

    limit: Limit
    max_errors: float

    @property
    def limit_ms(self) -> float:
        """Of the quantile."""
        assert self.limit.limit_ms is not None
        return self.limit.limit_ms

    @property
    def name(self) -> str:
        """The quantile, as p99."""
        return f"p{100 * self.limit.quantile:.10g}"


def objective_of(slo: Slo, *, p99_ms: float = 0.0, max_errors: float = 0.0) -> Objective:
    """The tightest blocking latency objective and errors objective of a policy, unless they are given.

    Raises DocumentError where there is no absolute latency to keep.
    """
    limit = limit_of(slo)
    if p99_ms:
        limit = Limit(
            quantile=0.99, limit_ms=p99_ms, alpha_pass=slo.alpha_pass, alpha_fail=slo.alpha_fail
        )
    if limit.limit_ms is None:
        raise DocumentError(
            "slo.objectives: none is a blocking objective of kind latency, so there is no limit to tune for; "
            "add one, or give --p99-ms"
        )
    said = [one.limit for one in slo.objectives if isinstance(one, ErrorSlo)]
    return Objective(limit=limit, max_errors=max_errors or min(said, default=USUAL_ERRORS))
