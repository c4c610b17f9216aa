"""doctor: whether a release would find what it relies on, before one is tried. Reads, and leaves nothing."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.adapters import checkup as reading
from tidegate.adapters import standard, storage
from tidegate.adapters.revision_metrics import preset_for
from tidegate.config import EXAMPLES, VARIABLES, settings
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.core.checkup_access import needs, permissions
from tidegate.errors import RejectedError, TidegateError, UnavailableError, UsageError
from tidegate.policy.serving import OWN_RUNTIME

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.prometheus import Prometheus
    from tidegate.policy import Policy

PROBE = ".tidegate-doctor"
ROLE = "let this account read it: role tidegate-doctor of deploy/base"
Made = Check | Iterable[Check]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the release would be: from a policy, or from flags."""

    namespace: str = "default"
    mode: str = "auto"
    runtime: str = OWN_RUNTIME
    runtime_version: str = ""
    accelerators: dict[str, int] = field(default_factory=dict)  # kind -> of one version
    step: str = ""  # '' = all of them
    accounts: bool = False  # ask for each step's own ServiceAccount, not for us
    runs_in: str = ""  # where those accounts are; '' = in the service's namespace


def wanted_by(policy: "Policy", **flags: object) -> Wanted:
    """What a policy asks of the cluster; flags that are set win."""
    serving = policy.serving
    limits = serving.resources.get("limits", {})
    kinds = {
        k: int(v) * serving.min_replicas for k, v in limits.items() if "/" in k and v.isdecimal()
    }
    own: dict[str, object] = {
        "namespace": policy.namespace, "mode": serving.mode, "runtime": serving.runtime,
        "runtime_version": serving.runtime_version, "accelerators": kinds,
    }  # fmt: skip
    return Wanted(**(own | {key: value for key, value in flags.items() if value}))  # type: ignore[arg-type]


def examined(kube: "Kubernetes", wanted: Wanted) -> list[Check]:
    """Every check, each on its own: one that cannot be made stops no other."""
    cluster = reading.Cluster(kube, wanted.namespace, runs_in=wanted.runs_in)
    first = _made("Kubernetes API", lambda: judged.ok("Kubernetes API", cluster.version()))
    checks = list(first)
    if checks[0].state is judged.State.OK:
        config = _read(lambda: cluster.config("kserve", "inferenceservice-config"))
        check, mode = judged.deployment_mode(config, wanted.mode)
        wanted = replace(wanted, mode=mode)
        checks += [check, *_of_cluster(kube, cluster, wanted)]
    return [*checks, *_of_endpoints(cluster, wanted)]


def _made(name: str, make: Callable[[], Made]) -> Iterator[Check]:
    """The findings of one check; what could not be asked or may not be read is UNKNOWN."""
    try:
        found = make()
        yield from [found] if isinstance(found, Check) else list(found)
    except UnavailableError as error:
        yield judged.unknown(name, str(error), "see that it runs and can be reached from here")
    except RejectedError as error:
        yield judged.unknown(name, str(error), ROLE)
    except TidegateError as error:
        said, _, remedy = str(error).partition("; ")
        yield judged.fail(name, said, remedy)


# -- the cluster


def _of_cluster(kube: "Kubernetes", cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    isvc = "inferenceservices.serving.kserve.io"
    yield from _made(
        f"CRD {isvc}", lambda: judged.crd(isvc, cluster.crd(isvc), "v1beta1", owner="KServe")
    )
    yield from _made("KServe's version", lambda: judged.kserve(standard.support(kube).kserve))
    if wanted.mode == "Standard":
        yield from _made("Standard mode", lambda: judged.standard(standard.support(kube)))
    else:
        yield from _of_knative(cluster, wanted)
    yield from _made(
        f"serving runtime {wanted.runtime}",
        lambda: judged.runtime_of(
            wanted.runtime, cluster.runtime(wanted.runtime), version=wanted.runtime_version
        ),
    )
    for kind, amount in wanted.accelerators.items():
        yield from _made(f"accelerators {kind}", partial(_accelerators, cluster, kind, amount))
    yield from _of_access(cluster, wanted)


def _accelerators(cluster: reading.Cluster, kind: str, amount: int) -> Check:
    return judged.gpus(kind, cluster.nodes(), amount)


def _read(read: Callable[[], dict[str, object] | None]) -> dict[str, object] | None:
    """None also when it may not be read: the judgement says what that means."""
    try:
        return read()
    except (RejectedError, UnavailableError):
        return None


def _of_knative(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    space = "knative-serving"
    for name in ("services.serving.knative.dev", "revisions.serving.knative.dev"):
        yield from _made(f"CRD {name}", partial(_knative_crd, cluster, name))
    yield judged.knative(_read(lambda: cluster.deployment(space, "controller")))
    yield from _made(
        "request metrics",
        lambda: judged.request_metrics(cluster.config(space, "config-observability")),
    )
    yield from _made(
        "feature flags",
        lambda: judged.features(
            cluster.config(space, "config-features"), cluster.runtime(wanted.runtime)
        ),
    )
    yield from _made("tag routing", lambda: judged.tag_routing(cluster.services()))


def _knative_crd(cluster: reading.Cluster, name: str) -> Check:
    return judged.crd(
        name, cluster.crd(name), "v1", owner="Knative Serving, or say serving.mode: Standard"
    )


def _of_access(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """An access review per verb of each step."""
    verbs = reading.recorded_verbs()
    if wanted.step and wanted.step not in verbs:
        raise UsageError(
            f"no step {wanted.step!r} asks the API for anything; choose {', '.join(verbs)}"
        )
    for step in [wanted.step] if wanted.step else verbs:
        yield from _made(
            f"permissions of {step}", partial(_access, cluster, wanted, step, verbs[step])
        )


def _access(
    cluster: reading.Cluster, wanted: Wanted, step: str, rules: list[dict[str, object]]
) -> Check:
    account = f"tidegate-{step}" if wanted.accounts else ""
    asked = list(needs({step: rules}, wanted.namespace))
    denied = [one for one in asked if not cluster.allows(one, account)]
    return permissions(step, asked, denied, who=account or "this account")


# -- everything else


def _of_endpoints(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    yield from _made("Prometheus", lambda: _prometheus(cluster, wanted))
    yield from _made("ingress", _ingress)
    yield from _made("storage", _storage)
    yield from _made("MLflow", _mlflow)


def _unset(name: str, key: str) -> Check:
    return judged.fail(name, f"{VARIABLES[key]} is not set", f"set it to {EXAMPLES[key]}")


def _prometheus(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """Reachable; and the series that gates read carry the revision."""
    from tidegate.adapters.prometheus import Prometheus
    from tidegate.adapters.prometheus_access import Access

    where = settings()
    if not where.prometheus_url:
        yield _unset("Prometheus", "prometheus_url")
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
    title, monitor = "scraping", "a PodMonitor as in deploy/kind/pod-monitor.yaml"
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


def _storage() -> Check:
    uri = settings().storage_uri
    if not uri:
        return _unset("storage", "storage_uri")
    folder = storage.local_folder(uri)
    if not folder.is_dir():
        return judged.fail(
            "storage", f"{uri} is no folder here", "mount it, or correct TIDEGATE_STORAGE_URI"
        )
    probe = folder / f"{PROBE}-{os.getpid()}"
    try:
        probe.write_text("written by tidegate doctor\n", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return judged.fail(
            "storage", f"{uri} cannot be written ({error.strerror})", "allow this user to write"
        )
    return judged.ok("storage", f"{uri} can be written")


def _mlflow() -> Check:
    from tidegate.adapters.mlflow_http import connect

    if not settings().mlflow_tracking_uri:
        return _unset("MLflow", "mlflow_tracking_uri")
    try:
        with connect(deadline_s=3) as server:
            server.get("mlflow/registered-models/search", max_results="1")
    except RejectedError as error:
        said, _, remedy = str(error).partition("; ")
        return judged.fail("MLflow", said, remedy or "correct MLFLOW_TRACKING_URI")
    return judged.ok("MLflow", "its registry answers")


# -- for people


def lines(checks: Iterable[Check]) -> Iterator[str]:
    """One line per finding, and what to do below it."""
    for check in checks:
        yield f"{check.state:<8} {check.name}: {check.found}"
        if check.remedy:
            yield f"         -> {check.remedy}"
