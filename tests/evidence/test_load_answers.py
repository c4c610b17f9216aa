"""What a load test makes of the answers that it gets; how long they take is not judged."""

from pathlib import Path

import numpy as np
import pytest

from tests.evidence.conftest import CANDIDATE, INCUMBENT, Serve, deployment, policy
from tidegate.adapters.files import read, write
from tidegate.core.slo import judge
from tidegate.documents import Arm, DedicatedBaseline, LoadReport, Word
from tidegate.errors import DocumentError
from tidegate.policy import Slo
from tidegate.steps.load_session import run
from tidegate.steps.load_test import load_test

ERRORS = {"kind": "errors", "limit": 0.05}
PATIENT = {"warmup_s": 0.0, "timeout_s": 60.0, "max_lag_ms": 60_000.0}  # on a machine that is busy


def measure(tree: Path, *, first_release: bool = True, **load: object) -> LoadReport:
    made = policy(load=PATIENT | load)
    return run(deployment(first_release=first_release), made, tree / "golden.npz", "r-1")


def verdict(report: LoadReport, *objectives: dict[str, object]) -> tuple[Word, str]:
    slo = Slo.model_validate({"objectives": objectives})
    judged = judge(report, slo, first_release=True)
    return judged.word, judged.reason


def test_a_first_release_is_measured_alone_and_every_answer_is_checked(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"revision": CANDIDATE})
    report = measure(golden_tree, pairs=4)
    assert report.baseline is None
    assert report.fair
    assert report.fairness == "no incumbent: absolute objectives only"
    assert (report.candidate.requests, report.candidate.errors, report.candidate.wrong) == (
        400,
        0,
        0,
    )
    assert report.candidate.revisions_seen == {CANDIDATE: 400}
    assert report.reduced == "4 block pairs instead of 20, 100 requests per block instead of 1000"
    assert verdict(report, ERRORS)[0] is Word.PASS


def test_the_step_writes_a_report_about_its_subject(
    serve: Serve, golden_tree: Path, tmp_path: Path
) -> None:
    serve(candidate={"revision": CANDIDATE})
    deployed = deployment(first_release=True)
    write(tmp_path / "deployment.json", deployed)
    write(tmp_path / "policy.json", policy(load=PATIENT | {"pairs": 1}))
    report = tmp_path / "report.json"
    done = load_test(
        tmp_path / "deployment.json", golden_tree, tmp_path / "policy.json", "r-1", report
    )
    assert done.verdict == "PASS"
    assert read(report, LoadReport, about=deployed.subject).release_id == "r-1"


def test_failed_requests_are_counted_and_never_sent_again(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"error_every": 4})
    report = measure(golden_tree)
    assert report.candidate.errors == 50
    word, reason = verdict(report, ERRORS)
    assert word is Word.FAIL
    assert "50 of 200 requests failed or wrong (50 failed, 0 wrong), limit 0.05" in reason


def test_wrong_labels_are_found_among_good_ones(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"wrong_every": 5})
    report = measure(golden_tree)
    assert report.candidate.wrong == 40
    assert verdict(report, ERRORS)[0] is Word.FAIL


def test_answers_of_another_version_are_wrong(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"version": "1"})
    assert measure(golden_tree, pairs=1).candidate.wrong == 100


def test_answers_of_another_revision_make_the_evidence_invalid(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"revision": INCUMBENT})
    word, reason = verdict(measure(golden_tree, pairs=1), ERRORS)
    assert word is Word.INVALID
    assert f"were answered by {INCUMBENT} (100)" in reason


@pytest.mark.parametrize(
    "body",
    ['{"error":"busy"}', "", '{"outputs":[{"name":"label"}]}', '{"outputs":["label"]}', "[]", "x"],
)
def test_an_answer_200_that_is_no_answer_is_wrong(
    serve: Serve, golden_tree: Path, body: str
) -> None:
    serve(candidate={"body": body})
    assert measure(golden_tree, pairs=1).candidate.wrong == 100


def test_nobody_listening_fails_every_request(
    monkeypatch: pytest.MonkeyPatch, golden_tree: Path
) -> None:
    monkeypatch.setenv("TIDEGATE_INGRESS_URL", "http://127.0.0.1:9")
    report = measure(golden_tree, pairs=1)
    assert report.candidate.errors == 100
    assert report.candidate.p99_ms is None


def test_without_prometheus_the_comparison_is_not_fair(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"revision": CANDIDATE}, incumbent={"revision": INCUMBENT, "version": "1"})
    report = measure(golden_tree, first_release=False, guard={"enabled": False})
    assert not report.fair
    assert "TIDEGATE_PROMETHEUS_URL is not set" in report.fairness
    assert [block.arm for block in report.blocks] == [
        Arm.CANDIDATE,
        Arm.BASELINE,
        Arm.BASELINE,
        Arm.CANDIDATE,
    ]


def test_a_dedicated_baseline_is_measured_in_the_incumbents_place_and_named(
    serve: Serve, golden_tree: Path
) -> None:
    serve(
        candidate={"revision": CANDIDATE},
        incumbent={"error_every": 1},
        copy={"revision": "m-base-1-predictor-00001", "version": "1"},
    )
    copy = DedicatedBaseline(name="m-base-1", revision="m-base-1-predictor-00001", host="copy.test")
    deployed = deployment().model_copy(update={"baseline": copy})
    made = policy(load=PATIENT | {"baseline": "dedicated", "guard": {"enabled": False}})
    report = run(deployed, made, golden_tree / "golden.npz", "r-1")
    assert report.baseline
    assert (report.baseline.service, report.candidate.service) == ("m-base-1", "")
    assert report.baseline.revisions_seen == {"m-base-1-predictor-00001": 200}
    assert (report.baseline.requests, report.baseline.errors) == (200, 0)
    assert report.baseline.rate_rps == report.candidate.rate_rps == 200
    assert not report.fair  # who else sent to it is not known here
    assert "what reached the dedicated baseline m-base-1" in report.fairness
    assert "TIDEGATE_PROMETHEUS_URL is not set" in report.fairness


def test_a_deployment_without_the_baseline_that_the_policy_wants_is_refused(
    golden_tree: Path,
) -> None:
    made = policy(load={"baseline": "dedicated"})
    with pytest.raises(DocumentError, match="was deployed without one; run deploy"):
        run(deployment(), made, golden_tree / "golden.npz", "r-1")


def test_a_golden_file_that_is_none_is_named(golden_tree: Path, serve: Serve) -> None:
    serve(candidate={})
    (golden_tree / "golden.npz").write_bytes(b"no")
    with pytest.raises(DocumentError, match=r"golden\.npz: cannot be read"):
        measure(golden_tree)
    np.savez(golden_tree / "golden.npz", x=np.zeros(3))
    with pytest.raises(DocumentError, match="needs rows of input"):
        measure(golden_tree)


def test_grpc_carries_the_same_tensors(serve: Serve, golden_tree: Path) -> None:
    serve(grpc=True, candidate={"revision": CANDIDATE, "error_every": 10})
    report = measure(golden_tree, protocol="grpc")
    assert (report.candidate.errors, report.candidate.wrong) == (20, 0)
    assert report.candidate.revisions_seen == {CANDIDATE: 180}
