"""Every object that a policy leads to, in the order in which they are applied. Pure.

A release applies the InferenceService, and KEDA's ScaledObject of the candidate; what it needs before, and
what stands beside it, is for `kubectl apply` or a GitOps repository.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.core import knative, standard
from tidegate.core.isvc.extras import monitor, scaled_object
from tidegate.core.isvc.graph import graph
from tidegate.core.manifest import PERCENT, Json, predictor
from tidegate.core.standard_manifest import COLOURS, deployment_name, entry, other, replicas_at
from tidegate.policy import Policy
from tidegate.policy.serving import OWN_RUNTIME, Keda

BEFORE = "before the first release"
BY_RELEASE = "written by the release"
AT_SHARE = "written by the release before the first share"
BESIDE = "beside the service, by kubectl apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One object, and who applies it when."""

    when: str
    manifest: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A version, and where it is published."""

    storage_uri: str
    version: str


def rendered(
    policy: Policy,
    mode: str,
    candidate: Served,
    *,
    runtime: Json | None = None,
    percent: int | None = None,
    incumbent: Served | None = None,
) -> tuple[Rendered, ...]:
    """All of them. `runtime`: our own ServingRuntime, where the policy runs in it; `percent`: as the service
    stands at that traffic step beside the incumbent, None = as a first release creates it."""
    before = [*_runtime(policy, runtime), *_monitor(policy, mode)]
    service = (
        _created(policy, mode, candidate)
        if percent is None or incumbent is None
        else _staged(policy, mode, candidate, incumbent, percent)
    )
    return (
        *(Rendered(when=BEFORE, manifest=one) for one in before),
        Rendered(when=BY_RELEASE, manifest=service),
        *(Rendered(when=AT_SHARE, manifest=one) for one in _scaled(policy, mode)),
        *(Rendered(when=BESIDE, manifest=one) for one in _beside(policy, mode)),
    )


def _runtime(policy: Policy, runtime: Json | None) -> Iterator[Json]:
    if runtime is not None and policy.serving.served_by == OWN_RUNTIME:
        metadata = {**runtime["metadata"], "namespace": policy.namespace}
        yield {**runtime, "metadata": metadata}


def _monitor(policy: Policy, mode: str) -> Iterator[Json]:
    made = monitor(policy, mode)
    if made is not None:
        yield made


def _created(policy: Policy, mode: str, candidate: Served) -> Json:
    rules = standard if mode == "Standard" else knative
    made: Json = rules.manifest_of(policy, candidate.storage_uri, candidate.version)
    return made


def _staged(policy: Policy, mode: str, candidate: Served, incumbent: Served, percent: int) -> Json:
    """As the object stands at a step: the share in the predictor, or an entry of `spec.canary`."""
    if mode != "Standard":
        made = _created(policy, mode, candidate)
        made["spec"]["predictor"][PERCENT] = percent
        return made
    made = _created(policy, mode, incumbent)
    stable = made["spec"]["predictor"]
    wanted = predictor(policy, candidate.storage_uri, candidate.version).as_dict()
    pods = replicas_at(stable, percent)
    made["spec"]["canary"] = [entry(wanted, other(stable["name"]), percent=percent, replicas=pods)]
    return made


def _scaled(policy: Policy, mode: str) -> Iterator[Json]:
    """One for each name that the predictor takes in turn."""
    scaling = policy.serving.scaling
    if mode == "Standard" and isinstance(scaling, Keda) and scaling.via == "scaled_object":
        for colour in COLOURS:
            yield scaled_object(policy, scaling, deployment_name(policy.name, colour))


def _beside(policy: Policy, mode: str) -> Iterator[Json]:
    if policy.serving.graph:
        yield graph(policy, policy.serving.graph, mode)
