"""What is known of one metric source in one range of versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """How a source counts the requests of a revision, as names of metrics and labels.

    `histogram` is the base name of durations in `1000 / unit_ms` of a second, '' where there is none; its
    `_count` counts all requests unless `counters` name others. Failures are told by the first digit of
    `code`, or, where the histogram has no such label, by the counter `failures`, given as a selector's
    name and further matchers.
    """

    histogram: str = ""
    counters: tuple[str, ...] = ()
    failures: str = ""
    failing: str = ""
    namespace: str = "namespace"
    revision: str
    service: str
    service_of: str  # the service's value, of the InferenceService's $name; a regular expression
    code: str = ""
    unit_ms: float = 1.0
    reporter: str = ""  # a label by which both ends of a request may count it


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One source: who exports it, in which versions, under which names, and queries worth asking.

    The queries hold `$` placeholders only (`PLACEHOLDERS` of `policy.promql`) and give one number each.
    """

    name: str
    versions: str
    metrics: frozenset[str]
    requests: Requests | None = None
    queries: Mapping[str, str] = field(default_factory=dict)


def histogram(*names: str) -> frozenset[str]:
    """The three names of each classic histogram."""
    return frozenset(f"{name}_{part}" for name in names for part in ("bucket", "sum", "count"))
