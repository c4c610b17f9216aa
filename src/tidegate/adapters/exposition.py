"""Gauges in Prometheus' text format, as a file or to a Pushgateway, through prometheus-client."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, push_to_gateway, write_to_textfile
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate.core.telemetry import HELP, Sample
from tidegate.errors import UnavailableError, UsageError


class _Told(Collector):
    """Samples as families, each metric once."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = tuple(samples)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every metric with its series; a series that lacks a label of another has it empty."""
        for name in dict.fromkeys(one.name for one in self._samples):
            series = [one for one in self._samples if one.name == name]
            labels = list(dict.fromkeys(label for one in series for label in one.labels))
            family = GaugeMetricFamily(name, HELP[name], labels=labels)
            for one in series:
                family.add_metric([one.labels.get(label, "") for label in labels], one.value)
            yield family


def registry(samples: Iterable[Sample]) -> CollectorRegistry:
    """One of its own, without the process's own metrics."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Told(samples))
    return made


def write(folder: Path, samples: Iterable[Sample], *, job: str, about: Mapping[str, str]) -> Path:
    """One file per job and service, replaced as a whole. Raises UsageError where it cannot be written."""
    name = "-".join([job, *about.values()])
    path = folder / (re.sub(r"[^-\w.]", "_", name) + ".prom")
    try:
        write_to_textfile(str(path), registry(samples))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); correct TIDEGATE_TEXTFILE_DIR"
        ) from error
    return path


def push(
    url: str, samples: Iterable[Sample], *, job: str, about: Mapping[str, str], timeout_s: float
) -> None:
    """Replace the group of this job and service. Raises UnavailableError."""
    try:
        push_to_gateway(url, job, registry(samples), grouping_key=dict(about), timeout=timeout_s)
    except (OSError, ValueError) as error:  # urllib's errors are OSErrors
        raise UnavailableError(
            f"the Pushgateway did not take the metrics ({error}); check TIDEGATE_PUSHGATEWAY_URL"
        ) from error
