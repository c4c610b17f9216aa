"""What of the cluster itself a release relies on."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tidegate.adapters import checkup as reading
from tidegate.adapters import standard
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.core.checkup_access import KEDA, Need, needs, permissions
from tidegate.core.checkup_runtime import runtime_of
from tidegate.core.keda_scaling import wanted_for
from tidegate.core.manifest import predictor
from tidegate.core.room.admission import as_the_policy_says
from tidegate.core.room.demand import Demand
from tidegate.core.room.preflight import TITLE, asks, preflight
from tidegate.core.room.preflight import Cluster as Held
from tidegate.errors import RejectedError, UsageError
from tidegate.operations.doctor.findings import made, read_or_none
from tidegate.operations.doctor.wanted import Wanted

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.policy import Policy


def of_cluster(kube: "Kubernetes", cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    """CRDs, versions, settings, the runtime, accelerators and permissions."""
    isvc = "inferenceservices.serving.kserve.io"
    yield from made(
        f"CRD {isvc}", lambda: judged.crd(isvc, cluster.crd(isvc), "v1beta1", owner="KServe")
    )
    yield from made("KServe's version", lambda: judged.kserve(standard.support(kube).kserve))
    if wanted.mode == "Standard":
        yield from made("Standard mode", lambda: judged.standard(standard.support(kube)))
    else:
        yield from _of_knative(cluster, wanted)
    yield from made(f"serving runtime {wanted.runtime}", lambda: _runtime(cluster, wanted))
    counted = partial(_accelerators, cluster, has_baseline=wanted.has_baseline)
    for kind, amount in wanted.accelerators.items():
        yield from made(f"accelerators {kind}", partial(counted, kind=kind, amount=amount))
    if (policy := wanted.policy) and asks(policy, Demand.over(policy, None, wanted.mode)):
        yield from made(TITLE, partial(_fitted, cluster, policy, wanted.mode))
    yield from _of_access(cluster, wanted)


def _runtime(cluster: reading.Cluster, wanted: Wanted) -> Check:
    return runtime_of(
        wanted.runtime, cluster.runtime(wanted.runtime),
        version=wanted.runtime_version, format_=wanted.format,
    )  # fmt: skip


def _accelerators(cluster: reading.Cluster, kind: str, amount: int, *, has_baseline: bool) -> Check:
    return judged.gpus(kind, cluster.nodes(), amount, has_baseline=has_baseline)


def _fitted(cluster: reading.Cluster, policy: "Policy", mode: str) -> list[Check]:
    try:
        pods = cluster.pods()
    except RejectedError:
        pods = None  # the findings say so
    held = Held(nodes=cluster.nodes(), pods=pods)
    return as_the_policy_says(preflight(policy, held, mode), policy)


def _of_knative(cluster: reading.Cluster, wanted: Wanted) -> Iterator[Check]:
    space = "knative-serving"
    for name in ("services.serving.knative.dev", "revisions.serving.knative.dev"):
        yield from made(f"CRD {name}", partial(_knative_crd, cluster, name))
    yield judged.knative(read_or_none(lambda: cluster.deployment(space, "controller")))
    yield from made(
        "request metrics",
        lambda: judged.request_metrics(cluster.config(space, "config-observability")),
    )
    yield from made(
        "feature flags",
        lambda: judged.features(
            cluster.config(space, "config-features"),
            cluster.runtime(wanted.runtime),
            predictor(wanted.policy, "", "").as_dict() if wanted.policy else None,
        ),
    )
    yield from made("tag routing", lambda: judged.tag_routing(cluster.services()))


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
        yield from made(
            f"permissions of {step}", partial(_access, cluster, wanted, step, verbs[step])
        )


def _is_used(need: Need, wanted: Wanted) -> bool:
    """The pods of all namespaces are read for a policy that asks for room alone."""
    if not need.is_of_room:
        return True
    policy = wanted.policy
    return policy is not None and asks(policy, Demand.over(policy, None, wanted.mode))


def _access(
    cluster: reading.Cluster, wanted: Wanted, step: str, rules: list[dict[str, object]]
) -> Check:
    account = f"tidegate-{step}" if wanted.accounts else ""
    asked = [one for one in needs({step: rules}, wanted.namespace) if _is_used(one, wanted)]
    denied = [one for one in asked if not cluster.allows(one, account)]
    policy = wanted.policy
    used = {KEDA} if policy and wanted_for(policy, policy.name) else set()
    return permissions(step, asked, denied, who=account or "this account", used=used)
