"""What must hold for a promotion: objectives, their limits, and how sure a verdict must be."""

from tidegate.policy.slo.external import HttpSlo, JobSlo
from tidegate.policy.slo.measured import (
    CostSlo,
    ErrorSlo,
    LatencySlo,
    RelativeLatencySlo,
    ThroughputSlo,
)
from tidegate.policy.slo.objective import BaseObjective, Failing, QueriedObjective
from tidegate.policy.slo.queried import CapacitySlo, GpuSlo, PromqlSlo, RestartsSlo
from tidegate.policy.slo.whole import Objective, Slo

__all__ = [
    "BaseObjective",
    "CapacitySlo",
    "CostSlo",
    "ErrorSlo",
    "Failing",
    "GpuSlo",
    "HttpSlo",
    "JobSlo",
    "LatencySlo",
    "Objective",
    "PromqlSlo",
    "QueriedObjective",
    "RelativeLatencySlo",
    "RestartsSlo",
    "Slo",
    "ThroughputSlo",
]
