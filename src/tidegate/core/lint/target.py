"""The server as it is started, and its version: what it lets pass and never does, or does not know."""

from tidegate.core.lint.subject import Judged, Repository, Rule
from tidegate.core.server_arguments import flag

# Field -> the first Triton that reads it; an older one refuses the whole config.
SINCE = {"model_metrics": (2, 52), "ensemble_scheduling.max_inflight_requests": (2, 66)}
HISTOGRAMS_SINCE = (2, 65)
METRICS_CONFIG = frozenset(
    {"counter_latencies", "summary_latencies", "summary_quantiles", "histogram_latencies"}
)


def _cache(r: Repository) -> str:
    wanted = r.config.response_cache is not None and r.config.response_cache.enable
    if not wanted or flag(r.server.arguments, "cache-config"):
        return ""
    return "response_cache without a cache in the server; start it with --cache-config, or drop it"


def _rate_limiter(r: Repository) -> str:
    limited = any(group.rate_limiter is not None for group in r.config.instance_group)
    if not limited or "execution_count" in flag(r.server.arguments, "rate-limit"):
        return ""
    return "rate_limiter does nothing without --rate-limit=execution_count; start the server so, or drop it"


def _metrics_config(r: Repository) -> str:
    for value in flag(r.server.arguments, "metrics-config"):
        key, _, setting = value.partition("=")
        if key not in METRICS_CONFIG:
            known = ", ".join(sorted(METRICS_CONFIG))
            return f"--metrics-config {value}: the server ignores {key}; use one of {known}"
        if key == "counter_latencies" and setting == "false":
            return f"--metrics-config {value} freezes every counter at 0; drop it"
    return ""


def _histograms(r: Repository) -> str:
    """Servers before 2.65 count them for decoupled models alone, and none does without being told to."""
    decoupled = r.config.model_transaction_policy and r.config.model_transaction_policy.decoupled
    if r.config.model_metrics is None:
        return ""
    if not decoupled and r.server.version < HISTOGRAMS_SINCE:
        shown, since = (".".join(map(str, v)) for v in (r.server.version, HISTOGRAMS_SINCE))
        return f"model_metrics does nothing for such a model in Triton {shown}; serve with {since} or drop it"
    if "histogram_latencies=true" not in flag(r.server.arguments, "metrics-config"):
        return "model_metrics does nothing without --metrics-config=histogram_latencies=true; start it so"
    return ""


def _fields(r: Repository) -> str:
    scheduling = r.config.ensemble_scheduling
    used = {
        "model_metrics": r.config.model_metrics is not None,
        "ensemble_scheduling.max_inflight_requests": bool(
            scheduling and scheduling.max_inflight_requests
        ),
    }
    for name, since in SINCE.items():
        if used[name] and r.server.version < since:
            shown, wanted = (".".join(map(str, v)) for v in (r.server.version, since))
            return f"{name} is refused by Triton {shown}; drop it or serve with {wanted} or newer"
    return ""


RULES = (
    Rule(name="response cache", check=_cache, judged=Judged.SILENT),
    Rule(name="rate limiter", check=_rate_limiter, judged=Judged.SILENT),
    Rule(name="metrics config", check=_metrics_config, judged=Judged.SILENT),
    Rule(name="histograms", check=_histograms, judged=Judged.SILENT),
    Rule(name="fields", check=_fields, judged=Judged.LOG),
)
