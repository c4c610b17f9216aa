"""load-test: open-loop load on the candidate's own URL, in turn with a fair baseline."""

from dataclasses import dataclass

from tidegate.documents import Deployment
from tidegate.steps.registry import InDocument, InPolicy, InTree, OutDocument, step


@dataclass(frozen=True, slots=True)
class LoadTested:
    """PASS = there is a report to judge; the gate judges it."""

    verdict: str


@step(image="loadtest", touches="sends requests to both models; reads Prometheus")
def load_test(
    deployment: InDocument,
    optimized_model: InTree,
    policy_document: InPolicy,
    release_id: str,
    load_report: OutDocument,
) -> LoadTested:
    """Send golden requests to candidate and incumbent in turn; record every latency and answer."""
    from tidegate.adapters.files import read, read_policy, write
    from tidegate.steps.load_session import run

    deployed, policy = read(deployment, Deployment), read_policy(policy_document)
    write(load_report, run(deployed, policy, optimized_model / "golden.npz", release_id))
    return LoadTested(verdict="PASS")
