"""resolve: pins what was asked for to one immutable, READY model version and one policy."""

import math
from dataclasses import dataclass
from functools import partial

from tidegate.core import routes
from tidegate.core.kserve_server import unfit
from tidegate.core.routes import FLAVORS, choose
from tidegate.documents import Candidate, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.policy.serving import SERVERS, TRITON
from tidegate.steps import companions
from tidegate.steps.heartbeat import beating
from tidegate.steps.progress import say
from tidegate.steps.registry import OutDocument, OutPolicy, step


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the run is about."""

    verdict: str
    model: str
    version: str
    name: str
    namespace: str
    approval: str
    approval_timeout_s: int


@step(touches="reads MLflow, and the ConfigMap that a policy is in")
def resolve(
    policy: str,
    release_id: str,
    candidate: OutDocument,
    policy_document: OutPolicy,
    model_uri: str = "",
    namespace: str = "",
) -> Resolved:
    """Pin the model URI to one immutable version and write the effective policy.

    Args:
        policy: A path, configmap:<namespace>/<name>[/<key>], model:<path> or base64:<text>.
        release_id: Identifies this release.
        candidate: Where the Candidate is written.
        policy_document: Where the effective policy is written.
        model_uri: Overrides the policy's model.uri.
        namespace: Overrides the policy's namespace.
    """
    from tidegate.adapters.files import write, write_policy

    say("resolve", f"release {release_id}: reading policy {policy.partition(':')[0]}")
    effective, found = resolved(policy, model_uri, namespace)
    write_policy(policy_document, effective)
    write(candidate, found)
    for one in (found, *found.companions.values()):
        say("resolve", f"{one.requested_uri} is {one.subject}, {one.subject.digest[:19]}")
    return Resolved(
        verdict=Word.PASS.value,
        model=found.subject.model,
        version=found.subject.version,
        name=effective.name,
        namespace=effective.namespace,
        approval=effective.traffic.approval,
        approval_timeout_s=math.ceil(effective.traffic.approval_timeout_s),
    )


def resolved(reference: str, model_uri: str, namespace: str) -> tuple[Policy, Candidate]:
    """The policy is judged first, so that a typo costs no request."""
    from tidegate.adapters import policy_source
    from tidegate.adapters.mlflow_registry import registry

    def artifact(uri: str, path: str) -> str:
        with registry(say=partial(say, "resolve")) as models:
            return models.artifact_text(models.candidate(uri), path)

    policy = policy_source.load(
        reference, model_uri=model_uri, namespace=namespace, artifact=artifact
    )
    companions.require_allowed(policy)
    _require_released(policy)
    asking = beating("resolve", f"asking MLflow for {policy.model.uri}")
    with asking, registry(say=partial(say, "resolve")) as models:
        found = models.candidate(policy.model.uri)
        choose(flavor_of(found), policy, what=str(found.subject))
        others = companions.pinned(policy, models)
    return policy, found.model_copy(update={"companions": others})


def _require_released(policy: Policy) -> None:
    """A release builds Triton's repository, or the folder of KServe's own server. Raises DocumentError."""
    wanted = policy.serving.format
    if policy.serving.by_kserve and (reason := unfit(policy)):
        raise DocumentError(reason)
    if wanted != TRITON and not policy.serving.by_kserve:
        raise DocumentError(
            f"serving.format = {wanted!r} is rendered, not released; write triton, which serves that flavor "
            f"by optimize.target (docs/routes.md), or {', '.join(SERVERS)} for KServe's own server of it"
        )


def flavor_of(found: Candidate) -> str:
    """The flavor that is converted. Raises DocumentError when there is none."""
    flavor = routes.flavor_of(found.flavors)
    if flavor is None:
        raise DocumentError(
            f"{found.subject} has flavor {', '.join(found.flavors) or 'none'}, which is not known; "
            f"log it as {', '.join(FLAVORS[:-1])} or {FLAVORS[-1]}"
        )
    return flavor
