"""What a release relies on beside the cluster: Prometheus, the ingress, storage and MLflow."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.adapters import checkup as reading
from tidegate.adapters.revision_metrics import preset_for
from tidegate.config import EXAMPLES, settings
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.errors import RejectedError, TidegateError, UnavailableError
from tidegate.operations.doctor.findings import made, unset
from tidegate.operations.doctor.of_storage import storage
from tidegate.operations.doctor.wanted import Wanted

if TYPE_CHECKING:
    from tidegate.adapters.prometheus import Prometheus


def of_endpoints(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """Each of them, asked as a step would ask it."""
    yield from made("Prometheus", lambda: _prometheus(cluster, wanted))
    yield from made("ingress", _ingress)
    yield from storage(cluster, wanted)
    yield from made("MLflow", _mlflow)


def _prometheus(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """Reachable; and the series that gates read carry the revision."""
    from tidegate.adapters.prometheus import Prometheus
    from tidegate.adapters.prometheus_access import Access

    where = settings()
    if not where.prometheus_url:
        yield unset("Prometheus", "prometheus_url")
        return
    try:
        access = Access.of(where)
        asked = Prometheus(url=where.prometheus_url, access=access, timeout_s=3, budget_s=3)
        yield judged.ok("Prometheus", f"answers; its clock says {asked.now():.0f}")
        yield _scraping(asked, cluster, wanted)
    except RejectedError as error:
        said, _, remedy = str(error).partition("; ")
        yield judged.fail("Prometheus", said, remedy or "correct TIDEGATE_PROMETHEUS_URL")


def _scraping(asked: "Prometheus", cluster: reading.Cluster, wanted: Wanted) -> Check:
    from tidegate.adapters.prometheus import staleness

    mode = "Standard" if wanted.mode == "Standard" else "Knative"
    source = preset_for(asked, "auto", mode).requests
    assert source is not None  # every preset of a mode counts requests
    selector = f'{source.histogram}_count{{{source.namespace}="{wanted.namespace}"}}'
    found = asked.series(selector, window_s=600)
    stale = staleness(found, now=asked.now()) if found else ""
    pinned = [one for one in found if one.labels.get(source.revision)]
    return _scraped(selector, len(found), len(pinned), stale, source.revision, _served(cluster))


def _served(cluster: reading.Cluster) -> int:
    """How many services there are to be scraped; none when that cannot be told."""
    try:
        return len(cluster.services())
    except TidegateError:
        return 0


def _scraped(
    selector: str, found: int, pinned: int, stale: str, label: str, services: int
) -> Check:
    title, monitor = "scraping", "a PodMonitor of deploy/monitoring"
    if not found and not services:
        return judged.warn(
            title, f"no {selector} yet, and no service to scrape", f"see to {monitor}"
        )
    if not found:
        return judged.fail(title, f"no {selector}", f"apply {monitor}")
    if pinned < found:
        lacking = f"{found - pinned} of {found} series of {selector} lack label {label}"
        return judged.fail(title, lacking, f"copy it from the pod: podTargetLabels of {monitor}")
    if stale:
        return judged.fail(
            title, f"{selector}: {stale}", "see that its targets are up in Prometheus"
        )
    return judged.ok(title, f"{found} series, each with its revision")


def _ingress() -> Check:
    url = settings().ingress_url
    if not url:
        return judged.ok("ingress", "not set: services are asked by their own URLs")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return judged.fail(
            "ingress", f"TIDEGATE_INGRESS_URL is {url!r}", f"set it to {EXAMPLES['ingress_url']}"
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=3).close()
    except OSError as error:
        raise UnavailableError(f"nothing answers at {parts.hostname}:{port} ({error})") from error
    return judged.ok("ingress", f"{parts.hostname}:{port} answers")


def _mlflow() -> Check:
    from tidegate.adapters.mlflow_http import connect

    if not settings().mlflow_tracking_uri:
        return unset("MLflow", "mlflow_tracking_uri")
    try:
        with connect(deadline_s=3) as server:
            server.get("mlflow/registered-models/search", max_results="1")
    except RejectedError as error:
        said, _, remedy = str(error).partition("; ")
        return judged.fail("MLflow", said, remedy or "correct MLFLOW_TRACKING_URI")
    return judged.ok("MLflow", "its registry answers")
