"""Golden rows whose truth is known, asked of candidate and incumbent as they are served, once each."""

from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.documents import Deployment, Finding, Word
from tidegate.errors import TidegateError
from tidegate.policy import Policy
from tidegate.steps.progress import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tidegate.adapters.lanes import Way


def accuracy_findings(deployed: Deployment, policy: Policy, golden: Path) -> list[Finding]:
    """One finding for each `label.<output>` of the golden data; none without labels or an incumbent.

    An arm that does not answer every row is INVALID: who is right where is then not known.
    """
    from tidegate.adapters import golden_data, lanes
    from tidegate.core.accuracy import judge

    labels = golden_data.read(golden, what=golden.name).labels
    if not labels or deployed.incumbent is None:
        return []
    plain = policy.model_copy(update={"load": policy.load.model_copy(update={"capture": ""})})
    say(
        "load-test", f"asking both versions {len(next(iter(labels.values())))} labelled golden rows"
    )
    ours, theirs = deployed.repository.model_version, deployed.incumbent.version
    ways = [
        (lanes.candidate_way(deployed, plain, golden=golden), ours),
        (lanes.baseline_way(deployed, plain, golden=golden), theirs),
    ]
    found = []
    for name, truth in labels.items():
        try:
            candidate, incumbent = (_answers(way, name, version) for way, version in ways)
            found.append(judge(name, candidate, incumbent, truth, policy.parity.accuracy_margin))
        except (TidegateError, ValueError, KeyError) as error:
            message = f"accuracy of {name}: {error}"
            found.append(Finding(name=f"accuracy of {name}", word=Word.INVALID, message=message))
    return found


def _answers(way: "Way", name: str, version: str) -> "NDArray[np.generic]":
    """This output of every row; `version` '' = any. Raises ValueError when a row is not answered by it."""
    import numpy as np

    from tidegate.adapters import serving

    read = serving.read_grpc if way.protocol == "grpc" else None
    lane, rows = way.open(), []
    try:
        for request in lane.requests:
            reply = lane.connections[0].send(request)
            if reply.error:
                raise ValueError(f"row {request.row} was not answered: {reply.error}")
            answer = (
                read(reply.body) if read else serving.read_rest(reply.body, reply.header_length)
            )
            if version and answer.version != version:
                raise ValueError(f"version {answer.version} answered for {version}")
            rows.append(answer.outputs[name])
    finally:
        lane.close()
    return np.stack(rows)
