"""Which version the hosts of a load test lead to once it is over, where its answers themselves name none."""

from functools import partial

from tidegate.core.asked import probe_of
from tidegate.documents import Deployment, Finding, Probe, Word
from tidegate.errors import TidegateError
from tidegate.policy import Policy
from tidegate.policy.serving import TRITON
from tidegate.steps.progress import say


def version_findings(deployed: Deployment, policy: Policy, *, compared: bool) -> list[Finding]:
    """INVALID for each arm that another version answers, or none; nothing of Triton, whose answers name it.

    `compared`: the incumbent was sent load, too. One that nobody knows how to ask is not asked.
    """
    if deployed.repository.format == TRITON:
        return []
    asked = [("candidate", deployed.candidate_host, probe_of(deployed.repository, policy))]
    incumbent = deployed.incumbent
    if compared and incumbent and incumbent.probe:
        asked.append(("baseline", deployed.incumbent_host, incumbent.probe))
    found = ((arm, _trouble(host, probe)) for arm, host, probe in asked)
    return [
        Finding(name=f"{arm} version", word=Word.INVALID, message=f"after the load {trouble}")
        for arm, trouble in found
        if trouble
    ]


def _trouble(host: str, probe: Probe) -> str:
    from tidegate.adapters.served_model import answers_as

    try:
        answers_as(host, probe, say=partial(say, "load-test"))
    except TidegateError as error:
        return str(error)
    return ""
