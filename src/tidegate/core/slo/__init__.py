"""The judges of the load test: one module per kind of objective, and what they have in common."""

from tidegate.core.slo.capacity import judge_capacity, judge_cost, judge_throughput
from tidegate.core.slo.conclusion import Judgement, conclude, sure_word
from tidegate.core.slo.errors import judge_errors
from tidegate.core.slo.fitness import broken_evidence
from tidegate.core.slo.judging import judge, of_blocks, per_look
from tidegate.core.slo.latency import judge_latency, quantile_name
from tidegate.core.slo.relative import judge_relative, paired_quantiles

__all__ = [
    "Judgement",
    "broken_evidence",
    "conclude",
    "judge",
    "judge_capacity",
    "judge_cost",
    "judge_errors",
    "judge_latency",
    "judge_relative",
    "judge_throughput",
    "of_blocks",
    "paired_quantiles",
    "per_look",
    "quantile_name",
    "sure_word",
]
