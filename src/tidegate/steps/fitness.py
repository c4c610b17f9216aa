"""In which mode a release runs, and whether the cluster can do it there; asked before anything is written."""

from typing import TYPE_CHECKING

from tidegate.core.claim import mode_refusal, release_mode
from tidegate.core.decisions import Act, Refuse
from tidegate.core.manifest import predictor
from tidegate.core.room.admission import admitted, demand_of, unread
from tidegate.core.room.preflight import Cluster, asks, preflight
from tidegate.core.standard_claim import standard_refusal, untaken
from tidegate.core.standard_manifest import COLOURS, entry, other
from tidegate.core.traffic import rules_of
from tidegate.documents import Word
from tidegate.errors import RejectedError
from tidegate.policy import Policy
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.inference_service import InferenceServices
    from tidegate.core.checkup import Check
    from tidegate.core.journal import Journal
    from tidegate.core.observation import Observation


def mode_for(
    service: "InferenceServices", seen: "Observation | None", policy: Policy
) -> str | Refuse:
    """The mode, as the cluster recorded it; or why there can be no release in it."""
    default = service.default_mode()
    if refusal := mode_refusal(seen, policy, default):
        return refusal
    mode = release_mode(seen, policy, default)
    if mode != "Standard":
        return mode
    return standard_refusal(seen, policy, service.support()) or mode


def dry_run_refusal(
    service: "InferenceServices", seen: "Observation | None", journal: "Journal", policy: Policy
) -> Refuse | None:
    """Standard mode: the first act by the API's own dry-run; an older schema drops `canary` in silence."""
    if journal.mode != "Standard":
        return None
    wanted = predictor(policy, journal.storage_uri, journal.subject.version).as_dict()
    try:
        if seen is None:
            answer = service.preview_create(_with_canary(journal, policy, wanted))
        else:
            first = rules_of(journal).next_for_stage(seen, journal, 0)
            if not isinstance(first, Act):
                return None  # deploy says why
            answer = service.preview_patch(rules_of(journal).patch_of(first, seen, journal, wanted))
    except RejectedError as error:
        return Refuse(word=Word.INVALID, reason=str(error))
    return None if answer["spec"].get("canary") else untaken(policy)


def with_preflight(
    service: "InferenceServices", journal: "Journal", policy: Policy
) -> "Journal | Refuse":
    """The journal with what is to be told of the nodes; or why the new pods would find no room there."""
    found = admitted(nodes_checked(service, journal, policy), policy, is_urgent=journal.fast_track)
    if isinstance(found, Refuse):
        return found
    for line in found:
        say("deploy", line)
    return journal.model_copy(update={"preflight": found})


def nodes_checked(
    service: "InferenceServices", journal: "Journal", policy: Policy
) -> "list[Check]":
    """The nodes against what the release's pods ask for; they are not read when the policy asks nothing."""
    demand = demand_of(journal, policy)
    if not asks(policy, demand):
        return []
    try:
        nodes = service.nodes()
    except RejectedError as error:
        return [unread(str(error))]
    try:
        pods = service.pods_of_all()
    except RejectedError:
        pods = None  # the findings say so
    return list(preflight(policy, Cluster(nodes=nodes, pods=pods), journal.mode, demand))


def _with_canary(
    journal: "Journal", policy: Policy, wanted: dict[str, object]
) -> dict[str, object]:
    """A first release as it will be when the second one is staged."""
    manifest = rules_of(journal).manifest_of(policy, journal.storage_uri, journal.subject.version)
    listed = [entry(wanted, other(COLOURS[0]), percent=0, replicas=1)]
    return {**manifest, "spec": {**manifest["spec"], "canary": listed}}
