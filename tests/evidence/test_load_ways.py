"""How a load test reaches the server, what it sends, and what it makes of the answers; no latency judged."""

import base64
import datetime as dt
import json
import statistics
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.evidence.conftest import CANDIDATE, Serve, deployment, policy
from tidegate.adapters import captured, lanes, recorded_arrivals
from tidegate.adapters.fleet import Fleet
from tidegate.adapters.load import Schedule
from tidegate.adapters.serving import unraw
from tidegate.documents import LoadReport, Tensor, Word
from tidegate.errors import DocumentError, UsageError
from tidegate.policy import Recording
from tidegate.steps.load_guard import guard_of
from tidegate.steps.load_session import run

INPUTS = (Tensor(name="x", dtype="FP32", shape=(-1, 2)),)
FAST = {"rate_rps": 400.0, "pairs": 1, "block_requests": 40, "warmup_s": 0.0, "timeout_s": 10.0}


def measure(tree: Path, *, first_release: bool = True, **load: object) -> LoadReport:
    made = policy(load=FAST | load)
    return run(deployment(first_release=first_release), made, tree / "golden.npz", "r-1")


# -- TLS, tokens, headers


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A CA, a server's certificate for candidate.test, and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    authority = signed("ca", None, folder)
    files = {"ca": str(folder / "ca.pem")}
    for name in ("candidate.test", "client"):
        signed(name, authority, folder)
        files |= {
            f"{name}.pem": str(folder / f"{name}.pem"),
            f"{name}.key": str(folder / f"{name}.key"),
        }
    return files


Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def signed(name: str, by: Authority | None, folder: Path) -> Authority:
    """A certificate and its key, written as PEM."""
    key, subject = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
    )
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .sign(by[1] if by else key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made, key


def tls_of(certificates: dict[str, str], *, mutual: bool = False) -> dict[str, str]:
    named = {"cert": certificates["candidate.test.pem"], "key": certificates["candidate.test.key"]}
    return named | ({"client_ca": certificates["ca"]} if mutual else {})


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tls_with_a_client_s_certificate_and_a_token_carries_the_same_tensors(
    serve: Serve,
    golden_tree: Path,
    certificates: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    tls = tls_of(certificates, mutual=True)
    serve(grpc=protocol == "grpc", tls=tls, candidate={"revision": CANDIDATE, "token": "t0p"})
    monkeypatch.setenv("TIDEGATE_INGRESS_CA", certificates["ca"])
    monkeypatch.setenv("TIDEGATE_INGRESS_CERTIFICATE", certificates["client.pem"])
    monkeypatch.setenv("TIDEGATE_INGRESS_KEY", certificates["client.key"])
    monkeypatch.setenv("TIDEGATE_INGRESS_TOKEN", "t0p")
    report = measure(golden_tree, protocol=protocol, max_connections=4)
    assert (report.candidate.errors, report.candidate.wrong) == (0, 0)
    assert report.candidate.revisions_seen == {CANDIDATE: 40}
    monkeypatch.setenv("TIDEGATE_INGRESS_TOKEN", "")
    assert measure(golden_tree, protocol=protocol, block_requests=4).candidate.errors == 4


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    serve: Serve,
    golden_tree: Path,
    certificates: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    serve(grpc=protocol == "grpc", tls=tls_of(certificates), candidate={})
    asked: dict[str, Any] = {"protocol": protocol, "block_requests": 4, "timeout_s": 2.0}
    assert measure(golden_tree, **asked).candidate.errors == 4
    monkeypatch.setenv("TIDEGATE_INGRESS_INSECURE", "true")
    assert measure(golden_tree, **asked).candidate.errors == 0


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"INSECURE": "yes"}, "write true or false"),
        ({"KEY": "k"}, "set both or none"),
        ({"CA": "/no/such/file"}, "TLS files /no/such/file cannot be read"),
    ],
)
def test_tls_that_is_not_usable_is_named(
    golden_tree: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("TIDEGATE_INGRESS_URL", "https://127.0.0.1:9")
    for name, value in variables.items():
        monkeypatch.setenv(f"TIDEGATE_INGRESS_{name}", value)
    with pytest.raises(UsageError, match=words):
        measure(golden_tree)


# -- what is sent


def event(data: object, kind: str = "request", **more: object) -> dict[str, object]:
    named = f"org.kubeflow.serving.inference.{kind}"
    return {"specversion": "1.0", "id": "1", "source": "s", "type": named, "data": data} | more


REQUEST = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [3.0, -1.0]}]}


def read(folder: Path, *lines: object) -> Any:
    path = folder / "captured.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return captured.read(path, what="load.capture captured.jsonl", inputs=INPUTS)


def test_captured_requests_are_events_of_kserve_s_logger_or_plain_ones(tmp_path: Path) -> None:
    encoded = base64.b64encode(json.dumps(REQUEST).encode()).decode()
    wrapped = event(None, data_base64=encoded)
    del wrapped["data"]
    found = read(tmp_path, REQUEST, event(REQUEST), event({"outputs": []}, "response"), wrapped, "")
    assert len(found) == 3
    assert all(np.array_equal(one.row["x"], np.array([[3.0, -1.0]], np.float32)) for one in found)


def test_a_captured_request_is_kept_whole(tmp_path: Path) -> None:
    of_a_sequence = REQUEST | {"parameters": {"sequence_id": 7, "sequence_start": True}}
    (found,) = read(tmp_path, of_a_sequence)
    assert json.loads(found.body) == of_a_sequence


def test_a_server_that_reads_json_alone_is_asked_in_the_json_that_clients_sent(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"json_only": True})
    (golden_tree / "captured.jsonl").write_text(json.dumps(REQUEST))
    report = measure(golden_tree, capture="captured.jsonl")
    assert (report.candidate.errors, report.candidate.wrong) == (0, 0)
    assert measure(golden_tree, block_requests=4).candidate.errors == 4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: Expecting property name"),
        ("[]", "line 2: is no JSON object"),
        ({"inputs": []}, "line 2: has no input x"),
        ({"outputs": []}, "line 2: 'inputs' is missing"),
        (event(REQUEST, "other"), "line 2: is an event of type"),
        (event(3), "line 2: has data that is no JSON object"),
        ({"inputs": [REQUEST["inputs"][0] | {"datatype": "FP64"}]}, "line 2: input x is FP64"),
        ({"inputs": [REQUEST["inputs"][0] | {"shape": [3, 2]}]}, "line 2: cannot reshape"),
        (
            {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32"}]},
            "line 2: input x has no data",
        ),
    ],
)
def test_a_malformed_line_of_a_capture_is_named(tmp_path: Path, line: object, words: str) -> None:
    with pytest.raises(DocumentError, match=r"load\.capture captured\.jsonl " + words):
        read(tmp_path, REQUEST, line)


def test_a_capture_without_requests_is_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="holds no request"):
        read(tmp_path, event({}, "response"))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_captured_requests_are_sent_and_their_answers_only_need_to_be_answers(
    serve: Serve, golden_tree: Path, protocol: str
) -> None:
    serve(grpc=protocol == "grpc", candidate={"wrong_every": 2})
    (golden_tree / "captured.jsonl").write_text(json.dumps(REQUEST))
    report = measure(golden_tree, protocol=protocol, capture="captured.jsonl")
    assert (report.candidate.errors, report.candidate.wrong) == (0, 0)


@pytest.mark.parametrize("capture", ["", "captured.jsonl"])
def test_nan_in_an_answer_is_wrong_whether_it_is_compared_or_not(
    serve: Serve, golden_tree: Path, capture: str
) -> None:
    serve(candidate={"nan_every": 4})
    (golden_tree / "captured.jsonl").write_text(json.dumps(REQUEST))
    assert measure(golden_tree, capture=capture).candidate.wrong == 10


@pytest.mark.parametrize("datatype", ["FP32", "INT64", "BYTES"])
def test_null_in_an_answer_of_json_is_wrong_where_nothing_is_compared(
    serve: Serve, golden_tree: Path, datatype: str
) -> None:
    output = {"name": "other", "datatype": datatype, "shape": [1], "data": [None]}
    serve(candidate={"body": json.dumps({"model_version": "2", "outputs": [output]})})
    (golden_tree / "captured.jsonl").write_text(json.dumps(REQUEST))
    assert measure(golden_tree, capture="captured.jsonl").candidate.wrong == 40


@pytest.mark.parametrize("data", [b"\x03\0\0\0ab", b"\0\0\0\0\x01\0"])
def test_a_string_that_is_cut_short_is_no_answer(data: bytes) -> None:
    with pytest.raises(ValueError, match="is cut short"):
        unraw(data, "BYTES")


def test_nan_of_the_incumbent_is_no_yardstick(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={}, incumbent={"version": "1", "nan_every": 2})
    report = measure(golden_tree, first_release=False, guard={"enabled": False})
    assert report.baseline is not None
    assert report.baseline.wrong == report.baseline.requests // 2
    assert not report.fair


def test_recorded_arrivals_come_from_a_file_or_from_the_policy(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={})
    (golden_tree / "arrivals.txt").write_text("0\n0.001\n0.002\n0.5\n")
    for recording in ({"file": "arrivals.txt"}, {"intervals_ms": [1, 1, 498]}):
        report = measure(golden_tree, arrivals="recorded", recording=recording)
        assert (report.candidate.requests, report.candidate.errors) == (40, 0)
    found = recorded_arrivals.read(Recording(file="arrivals.txt"), golden_tree)
    assert found == pytest.approx((0.001, 0.001, 0.498))
    (golden_tree / "arrivals.txt").write_text("0\nsoon\n")
    with pytest.raises(DocumentError, match=r"arrivals\.txt line 2: 'soon' is no number"):
        measure(golden_tree, arrivals="recorded", recording={"file": "arrivals.txt"})


# -- several processes, a stop, the curve


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_processes_share_a_schedule_and_every_request_is_there_once(
    serve: Serve, golden_tree: Path, processes: int, protocol: str
) -> None:
    serve(grpc=protocol == "grpc", candidate={"revision": CANDIDATE, "wrong_every": 4})
    made = policy(load={"protocol": protocol, "max_connections": 8, "timeout_s": 10.0})
    way = lanes.candidate_way(
        deployment(first_release=True), made, golden=golden_tree / "golden.npz"
    )
    starts = tuple(n / 200 for n in range(100))
    with Fleet(way=way, processes=processes) as fleet:
        block = fleet.send(Schedule(starts=starts), lambda _: None, watch_every_s=5)
        again = fleet.send(Schedule(starts=starts[:2]), lambda _: None, watch_every_s=5)
    assert tuple(one.due_s for one in block.sent) == starts
    assert (block.offered, block.errors, block.processes) == (100, 0, processes)
    assert block.revisions == {CANDIDATE: 100}
    assert block.wrong == 25
    assert block.cpu_s >= block.busiest_cpu_s > 0
    assert again.offered == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stop_ends_all_sending_at_once(serve: Serve, golden_tree: Path, processes: int) -> None:
    page = f"http://127.0.0.1:{serve(candidate={'revision': CANDIDATE})['http']}/metrics"
    way = lanes.candidate_way(
        deployment(first_release=True), policy(), golden=golden_tree / "golden.npz"
    )
    with Fleet(way=way, processes=processes) as fleet:

        def stop_after_the_first(_: object) -> None:
            if "_count" in httpx.get(page, timeout=60).text:
                fleet.stop.set()

        schedule = Schedule(starts=tuple(n / 50 for n in range(3000)))
        block = fleet.send(schedule, stop_after_the_first, watch_every_s=0.2)
    assert 0 < block.offered == len(block.sent) < 1500  # of a minute: the stop came after a second


def test_requests_keep_their_schedule_however_long_the_answers_take(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"delay_ms": 3000})
    way = lanes.candidate_way(
        deployment(first_release=True),
        policy(load={"max_connections": 100, "timeout_s": 60.0}),
        golden=golden_tree / "golden.npz",
    )
    with Fleet(way=way, processes=1) as fleet:
        schedule = Schedule(starts=tuple(n / 50 for n in range(100)))
        block = fleet.send(schedule, lambda _: None, watch_every_s=5)
    assert (block.offered, block.errors) == (100, 0)
    # who waits for an answer before the next request is late by seconds, and later with each one
    assert statistics.median(one.late_s + one.waited_s for one in block.sent) < 1.5


def test_the_curve_climbs_to_the_limit_and_names_the_capacity(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"delay_ms": 5})
    made = policy(
        load=FAST
        | {"curve": {"concurrencies": [1, 4], "requests": 350, "step_s": 0.2, "max_step_s": 9}},
        slo={"objectives": [{"kind": "latency", "quantile": 0.5, "limit_ms": 3000}]},
    )
    report = run(deployment(first_release=True), made, golden_tree / "golden.npz", "r-1")
    assert [point.concurrency for point in report.curve] == [1, 4]
    assert all(point.requests >= 350 and point.keeps_limit for point in report.curve)
    assert report.capacity is not None
    assert report.capacity.rate_rps == max(point.throughput_rps for point in report.curve)
    assert report.curve[1].throughput_rps > report.curve[0].throughput_rps


def test_no_part_of_the_test_is_above_the_ceiling(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"delay_ms": 1})
    curve = {"concurrencies": [8], "requests": 50, "step_s": 1, "max_step_s": 2}
    report = measure(golden_tree, rate_rps=40.0, max_rate_rps=50.0, curve=curve, block_requests=10)
    assert report.curve[0].throughput_rps < 60


# -- evidence that is none


def test_answers_of_the_response_cache_make_the_evidence_invalid(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"cached": True})
    found = measure(golden_tree).findings
    assert [(one.name, one.word) for one in found] == [("response cache", Word.INVALID)]
    assert "answered 40 of 40 requests" in found[0].message


def test_what_a_replicas_cache_answered_before_the_test_is_nothing_against_the_evidence(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"earlier_hits": [0, 700, 3]})
    assert measure(golden_tree).findings == ()
    serve(candidate={"cached": True, "earlier_hits": [0, 700, 3]})
    assert [one.name for one in measure(golden_tree).findings] == ["response cache"]


@pytest.mark.alone
def test_a_server_that_never_warms_up_is_inconclusive(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"drift": 2})
    report = measure(golden_tree, warmup_s=0.5, max_warmup_s=1.0, rate_rps=100.0, block_requests=5)
    assert [(one.name, one.word) for one in report.findings] == [
        ("candidate warm-up", Word.INCONCLUSIVE)
    ]
    assert "is not flat yet" in report.findings[0].message


@pytest.mark.alone
def test_a_cold_start_is_over_before_the_first_judged_block(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"cold": [400, 60]})
    report = measure(golden_tree, warmup_s=0.6, max_warmup_s=20.0, rate_rps=50.0, block_requests=20)
    assert report.findings == ()
    assert report.candidate.p50_ms is not None
    assert report.candidate.p50_ms < 200


def test_without_prometheus_no_load_is_put_beside_production(
    serve: Serve, golden_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(candidate={}, incumbent={"version": "1"})
    monkeypatch.delenv("TIDEGATE_PROMETHEUS_URL", raising=False)
    report = measure(golden_tree, first_release=False)
    assert report.candidate.requests == 0
    assert [(one.name, one.word) for one in report.findings] == [("production guard", Word.INVALID)]
    assert "TIDEGATE_PROMETHEUS_URL is not set" in report.findings[0].message


@pytest.mark.real
@pytest.mark.parametrize(
    ("namespace", "on_no_data", "words"),
    [
        ("good", "stop", ""),
        ("suffering", "stop", "requests to the incumbent answered 5xx"),
        ("unseen", "stop", "could not be watched (the newest sample is"),
        ("unseen", "hold", ""),
    ],
)
def test_the_guard_sees_production_through_prometheus(
    past: str, namespace: str, on_no_data: str, words: str
) -> None:
    made = policy(
        load={"guard": {"on_no_data": on_no_data, "max_hold_s": 0.1}},
        slo={"objectives": [{"kind": "errors", "limit": 0.01}]},
    )
    deployed = deployment().model_copy(update={"namespace": namespace})
    guard = guard_of(deployed, made, threading.Event())
    assert guard is not None
    guard.begun -= 150
    guard.once()
    assert guard.stop.is_set() == bool(words)
    assert words in (guard.finding.message if guard.finding else "")
    if on_no_data == "hold":
        guard.await_sight()
        assert guard.finding is not None
        assert "could not be watched for" in guard.finding.message


def test_the_policy_s_own_mistakes_are_named() -> None:
    for load, words in (
        ({"rate_rps": 9, "max_rate_rps": 5}, "rate_rps 9 is above max_rate_rps 5"),
        ({"arrivals": "recorded"}, "go together"),
        ({"arrivals": "recorded", "recording": {}}, "set either file or intervals_ms"),
        ({"capture": "../secret"}, "inside the model version"),
        ({"headers": {"Host": "x"}}, "'Host' cannot be set"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "no printable ASCII"),
        ({"curve": {"concurrencies": [4, 2]}}, "must rise"),
        ({"curve": {"concurrencies": [128]}}, "above max_connections"),
        ({"processes": 9, "max_connections": 4}, "above max_connections"),
    ):
        with pytest.raises(ValueError, match=words):
            policy(load={"rate_rps": 2.0} | load)
