"""What must hold for a promotion: objectives, their limits, and how sure a verdict must be."""

from tidegate.policy.slo.measured import ErrorSlo, LatencySlo, RelativeLatencySlo
from tidegate.policy.slo.queried import PromqlSlo
from tidegate.policy.slo.whole import Objective, Slo

__all__ = ["ErrorSlo", "LatencySlo", "Objective", "PromqlSlo", "RelativeLatencySlo", "Slo"]
