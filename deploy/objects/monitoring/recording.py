"""Recording rules: one name for requests, failures and latency of a revision, whoever counts them.

Made from the presets of the policy, so that a dashboard or an alert asks what a live gate would ask. The
label `source` is the preset's name; several sources may count one revision.
"""

from collections.abc import Iterator

from deploy.objects.metadata import Json
from tidegate.policy.presets import PRESETS, Requests

WINDOWS = ("5m", "1h")
SHORT = WINDOWS[0]


def groups() -> list[Json]:
    """One group of rules per preset that counts requests, what follows from them, and Triton's queue."""
    made = dict[str, Json]()
    for preset in PRESETS.values():
        rules = _rules(preset.name, preset.requests) if preset.requests else ()
        for (
            rule
        ) in rules:  # two presets of one exporter's versions count alike: the rule is there once
            made.setdefault(f"{rule['record']} {rule['expr']}", rule)
    by_source = dict[str, list[Json]]()
    for rule in made.values():
        by_source.setdefault(rule["labels"]["source"], []).append(rule)
    counted = [_group(f"tidegate.revisions.{name}", rules) for name, rules in by_source.items()]
    return [*counted, _group("tidegate.revisions", _ratios()), _group("tidegate.triton", _queue())]


def _group(name: str, rules: list[Json]) -> Json:
    return {"name": name, "interval": "15s", "rules": rules}


def _rules(source: str, requests: Requests) -> Iterator[Json]:
    for window in WINDOWS:
        total = _total(requests, window)
        # no failure's series exists before the first failure
        failed = f"{_failed(requests, window)} or 0 * ({total})"
        yield _rule(f"tidegate:revision_requests:rate{window}", total, source)
        yield _rule(f"tidegate:revision_failures:rate{window}", failed, source)
    if requests.histogram:
        yield _rule(f"tidegate:revision_latency_seconds:p99_{SHORT}", _p99(requests), source)


def _rule(record: str, expr: str, source: str) -> Json:
    return {"record": record, "expr": expr, "labels": {"source": source}}


def _ratios() -> list[Json]:
    """Without requests there is no ratio."""
    return [
        {
            "record": f"tidegate:revision_errors:ratio_rate{window}",
            "expr": f"tidegate:revision_failures:rate{window} / "
            f"(tidegate:revision_requests:rate{window} > 0)",
        }
        for window in WINDOWS
    ]


def _total(requests: Requests, window: str) -> str:
    counters = requests.counters or (f"{requests.histogram}_count",)
    return " + ".join(_rate(requests, counter, window) for counter in counters)


def _failed(requests: Requests, window: str) -> str:
    if requests.failures:
        return _rate(requests, requests.failures, window, requests.failing)
    return _rate(requests, f"{requests.histogram}_count", window, f'{requests.code}=~"5.."')


def _p99(requests: Requests) -> str:
    buckets = _rate(requests, f"{requests.histogram}_bucket", SHORT, by="namespace, revision, le")
    return f"histogram_quantile(0.99, {buckets}) * {requests.unit_ms / 1000:g}"


def _rate(
    requests: Requests, metric: str, window: str, more: str = "", *, by: str = "namespace, revision"
) -> str:
    """By the labels `namespace` and `revision`, whatever the source calls them."""
    named = [f'{requests.revision}!=""', more]
    named += [f'{requests.reporter}="source"'] if requests.reporter else []
    rates = f"rate({metric}{{{','.join(filter(None, named))}}}[{window}])"
    for label, source in (("namespace", requests.namespace), ("revision", requests.revision)):
        if label != source:
            rates = f'label_replace({rates}, "{label}", "$1", "{source}", "(.+)")'
    return f"sum by ({by}) ({rates})"


def _queue() -> list[Json]:
    """What waits in Triton, and which part of a request's time it waits there."""
    by = "sum by (namespace, pod, model)"
    waited = f"{by} (rate(nv_inference_queue_duration_us[{SHORT}]))"
    whole = f"{by} (rate(nv_inference_request_duration_us[{SHORT}]))"
    return [
        {
            "record": "tidegate:triton_pending:sum",
            "expr": f"{by} (nv_inference_pending_request_count)",
        },
        {"record": f"tidegate:triton_queue:share_rate{SHORT}", "expr": f"{waited} / ({whole} > 0)"},
    ]
