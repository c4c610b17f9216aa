"""conclude: green or red."""

from pathlib import Path

import pytest

from tests.steps.traffic.traffic_cluster import policy
from tidegate.adapters.files import write
from tidegate.errors import DocumentError, NotPromotedError, RollbackFailedError, TidegateError
from tidegate.steps.conclude import conclude


@pytest.mark.parametrize(
    ("outcome", "on_reject", "error"),
    [
        ("PROMOTED", "fail", None),
        ("UNCHANGED", "fail", None),
        ("REJECTED", "fail", NotPromotedError),
        ("ROLLED_BACK", "fail", NotPromotedError),
        ("DIED", "fail", NotPromotedError),
        ("REJECTED", "succeed", None),
        ("ROLLED_BACK", "succeed", None),
        ("ROLLBACK_FAILED", "succeed", RollbackFailedError),
        ("nonsense", "fail", DocumentError),
    ],
)
def test_a_run_is_red_unless_it_promoted_or_the_policy_says_so(
    tmp_path: Path, outcome: str, on_reject: str, error: type[TidegateError] | None
) -> None:
    path = tmp_path / "policy.json"
    write(path, policy(on_reject=on_reject))
    if error is None:
        assert conclude(path, outcome, "why").outcome == outcome
        return
    with pytest.raises(error):
        conclude(path, outcome, "why")
