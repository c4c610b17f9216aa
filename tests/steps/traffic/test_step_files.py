"""The steps as a pipeline calls them: files in, files out, the real live gate."""

from pathlib import Path

import pytest

from tests.steps.traffic.traffic_cluster import Cluster, policy, published, uri, verdict
from tidegate.adapters.files import read, write
from tidegate.documents import Deployment, Outcome, Refusal, Result, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy
from tidegate.steps.deploy import deploy
from tidegate.steps.ending import Ended
from tidegate.steps.promote import promote


def run(tmp_path: Path, version: int, chosen: Policy, word: Word = Word.PASS) -> Ended:
    """deploy and promote of one version, through files."""
    folder = tmp_path / f"v{version}"
    release_id = f"r{version}"
    write(folder / "published.json", published(version))
    write(folder / "policy.json", chosen)
    deployment = folder / "deployment.json"
    deploy(folder / "published.json", folder / "policy.json", release_id, deployment)
    write(folder / "verdict.json", verdict(read(deployment, Deployment), release_id, word))
    ended: Ended = promote(
        folder / "verdict.json",
        deployment,
        folder / "policy.json",
        release_id,
        folder / "out.json",
        folder / "evidence.json",
    )
    return ended


def chosen(**changes: object) -> Policy:
    model = {"uri": "models:/digits/1", "alias": ""}
    return policy(model=model, slo={"prometheus": False}, **changes)


def test_without_a_metric_a_candidate_is_never_promoted(cluster: Cluster, tmp_path: Path) -> None:
    assert run(tmp_path, 1, chosen()).outcome == Result.PROMOTED
    ended = run(tmp_path, 2, chosen())
    assert ended.outcome == Result.ROLLED_BACK
    assert "INVALID at 10 %" in ended.reason
    outcome = read(tmp_path / "v2" / "out.json", Outcome)
    assert [(s.percent, s.word) for s in outcome.steps] == [(10, Word.INVALID)]
    assert cluster.serving == {uri(1)}


def test_an_unreachable_registry_is_told_and_the_traffic_stays(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    ended = run(tmp_path, 1, policy())
    assert ended.outcome == Result.PROMOTED
    assert "alias champion was not moved" in ended.reason
    assert "MLFLOW_TRACKING_URI" in ended.reason


@pytest.mark.parametrize("word", [Word.FAIL, Word.INCONCLUSIVE, Word.INVALID])
def test_only_pass_promotes(cluster: Cluster, tmp_path: Path, word: Word) -> None:
    with pytest.raises(DocumentError, match="only PASS promotes"):
        run(tmp_path, 1, chosen(), word)


def test_a_refusal_is_written_in_place_of_the_deployment(cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path / "published.json", published(1))
    write(tmp_path / "policy.json", chosen(initial="refuse"))
    out = tmp_path / "deployment.json"
    result = deploy(tmp_path / "published.json", tmp_path / "policy.json", "r1", out)
    assert (result.verdict, result.revision) == ("INVALID", "")
    assert read(out, Refusal).reason == result.reason
