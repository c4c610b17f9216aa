"""`policy.yaml`: everything a user decides about a release, with a default that works for each field.

What (thresholds, steps, windows) lives here and is reviewed; where (URLs, credentials) lives in the
environment (`tidegate.config`). Parsing text and fetching the policy are adapters; this is the schema.
"""

from tidegate.policy.aoti import Aoti
from tidegate.policy.load import Curve, Guard, Load, Recording
from tidegate.policy.model import Model, Optimize, Parity, Tolerance
from tidegate.policy.repository import Companion, Repository
from tidegate.policy.scheduling import SequenceBatching, VersionPolicy
from tidegate.policy.section import Section
from tidegate.policy.serving import Serving, unsupported
from tidegate.policy.slo import (
    CapacitySlo,
    CostSlo,
    ErrorSlo,
    GpuSlo,
    HttpSlo,
    JobSlo,
    LatencySlo,
    Objective,
    PromqlSlo,
    QueriedObjective,
    RelativeLatencySlo,
    RestartsSlo,
    Slo,
    ThroughputSlo,
)
from tidegate.policy.telemetry import Telemetry
from tidegate.policy.tensorrt import ShapeRange, TensorRt
from tidegate.policy.traffic import Exposure, Traffic
from tidegate.policy.triton import InstanceGroup, Queue, RateLimit, RateLimitResource, Triton
from tidegate.policy.whole import Policy, ReportTo

__all__ = [
    "Aoti",
    "CapacitySlo",
    "Companion",
    "CostSlo",
    "Curve",
    "ErrorSlo",
    "Exposure",
    "GpuSlo",
    "Guard",
    "HttpSlo",
    "InstanceGroup",
    "JobSlo",
    "LatencySlo",
    "Load",
    "Model",
    "Objective",
    "Optimize",
    "Parity",
    "Policy",
    "PromqlSlo",
    "QueriedObjective",
    "Queue",
    "RateLimit",
    "RateLimitResource",
    "Recording",
    "RelativeLatencySlo",
    "ReportTo",
    "Repository",
    "RestartsSlo",
    "Section",
    "SequenceBatching",
    "Serving",
    "ShapeRange",
    "Slo",
    "Telemetry",
    "TensorRt",
    "ThroughputSlo",
    "Tolerance",
    "Traffic",
    "Triton",
    "VersionPolicy",
    "unsupported",
]
