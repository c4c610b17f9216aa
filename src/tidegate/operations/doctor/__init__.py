"""doctor: whether a release would find what it relies on, before one is tried.

Reads, and leaves nothing: the file that it writes to a bucket it takes away again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.adapters import checkup as reading
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.operations.doctor.findings import made, read_or_none
from tidegate.operations.doctor.of_cluster import of_cluster
from tidegate.operations.doctor.of_endpoints import of_endpoints
from tidegate.operations.doctor.wanted import Wanted, wanted_by

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes

__all__ = ["Wanted", "examined", "lines", "wanted_by"]


def examined(kube: "Kubernetes", wanted: Wanted) -> list[Check]:
    """Every check, each on its own: one that cannot be made stops no other."""
    cluster = reading.Cluster(kube, wanted.namespace, runs_in=wanted.runs_in)
    first = made("Kubernetes API", lambda: judged.ok("Kubernetes API", cluster.version()))
    checks = list(first)
    if checks[0].state is judged.State.OK:
        config = read_or_none(lambda: cluster.config("kserve", "inferenceservice-config"))
        check, mode = judged.deployment_mode(config, wanted.mode)
        wanted = replace(wanted, mode=mode)
        checks += [check, *of_cluster(kube, cluster, wanted)]
    return [*checks, *of_endpoints(cluster, wanted)]


def lines(checks: Iterable[Check]) -> Iterator[str]:
    """One line per finding, and what to do below it."""
    for check in checks:
        yield f"{check.state:<8} {check.name}: {check.found}"
        if check.remedy:
            yield f"         -> {check.remedy}"
