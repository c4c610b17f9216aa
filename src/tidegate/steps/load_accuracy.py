"""Golden rows whose truth is known, asked of candidate and incumbent as they are served, once each."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.documents import Deployment, Finding, Word
from tidegate.errors import TidegateError
from tidegate.policy import Policy
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.lanes import Way
    from tidegate.adapters.serving import Array


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
    ways = [
        (
            lanes.candidate_way(deployed, plain, golden=golden),
            deployed.repository.model_version,
        ),
        (lanes.baseline_way(deployed, plain, golden=golden), deployed.incumbent.version),
    ]
    try:
        candidate, incumbent = (answers_of(way, version) for way, version in ways)
    except (TidegateError, ValueError, KeyError) as error:
        return [_invalid(name, error) for name in labels]
    found = []
    for name, truth in labels.items():
        try:
            ours, theirs = _of(name, candidate), _of(name, incumbent)
            found.append(judge(name, ours, theirs, truth, policy.parity.accuracy_margin))
        except ValueError as error:
            found.append(_invalid(name, error))
    return found


def _invalid(name: str, error: Exception) -> Finding:
    message = f"accuracy of {name}: {error}"
    return Finding(name=f"accuracy of {name}", word=Word.INVALID, message=message)


def _of(name: str, rows: "list[Mapping[str, Array]]") -> "Array":
    """This output of every row. Raises ValueError where it is missing."""
    import numpy as np

    for row in rows:
        if name not in row:
            raise ValueError(
                f"there is no such output, only {', '.join(row)}; name labels label.<output>"
            )
    return np.stack([row[name] for row in rows])


def answers_of(way: "Way", version: str) -> "list[Mapping[str, Array]]":
    """The outputs of every row; `version` '' = any, and KServe's own servers name none.

    Raises ValueError when a row is not answered by it.
    """
    lane = way.open()
    rows: list[Mapping[str, Array]] = []
    try:
        for request in lane.requests:
            reply = lane.connections[0].send(request)
            if reply.error:
                raise ValueError(f"row {request.row} was not answered: {reply.error}")
            answer = way.read(reply)
            if version and not way.dialect and answer.version != version:
                raise ValueError(f"version {answer.version} answered for {version}")
            rows.append(answer.outputs)
    finally:
        lane.close()
    return rows
