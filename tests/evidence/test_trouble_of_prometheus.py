"""Every way in which a monitoring system does not know, and the word that it ends in.

The table of them is docs/what-is-not-known.md.
"""

import contextlib
import http.server
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.evidence.conftest import (
    AHEAD_S,
    CANDIDATE,
    INCUMBENT,
    answered,
    deployment,
    free_port,
    has_prometheus,
    lines,
    policy,
    remembering,
    running,
)
from tidegate.adapters import revision_metrics
from tidegate.adapters.prometheus import Prometheus
from tidegate.adapters.prometheus_access import Access
from tidegate.config import settings
from tidegate.core.journal import ActKind, ActRecord, Journal
from tidegate.core.readings import Trouble
from tidegate.documents import Finding, Word
from tidegate.errors import RejectedError
from tidegate.steps import live_gate
from tidegate.steps.exposure import exposed_too_much
from tidegate.steps.live_gate import LiveEvidence, judge_step

BAKED = {"bake_s": 30, "max_bake_s": 600, "min_requests": 100}
ERRORS = {"kind": "errors", "limit": 0.01}
OWN = ["failures", "absent"]


def promql(query: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "promql", "name": "q", "query": query, "limit": 3} | fields


def only(text: str, kept: Any) -> str:
    """The samples of which `kept(seconds ago)`."""
    now = time.time()
    return "".join(
        one for one in text.splitlines(keepends=True) if kept(now - float(one.split()[-1]))
    )


def restarted(namespace: str) -> str:
    """A candidate whose counters began again a minute ago."""
    before = only(answered(namespace, CANDIDATE, 10), lambda ago: ago >= 60)
    now, after = time.time(), ""
    for one in only(answered(namespace, CANDIDATE, 10), lambda ago: ago < 60).splitlines():
        name, value, at = one.rsplit(" ", 2)
        share = float(value) / (180 - (now - float(at)))  # per second, as `lines` made it
        after += f"{name} {share * (60 - (now - float(at))):g} {at}\n"
    return before + after


def recovered(namespace: str) -> str:
    """A candidate whose first minutes were all failures, and whose last was not."""
    labels = {"namespace": namespace, "serving_knative_dev_revision": CANDIDATE}
    text, now = "", time.time()
    courses: dict[str, Callable[[float], float]] = {
        "503": lambda ago: min(180 - ago, 110),
        "200": lambda ago: max(0, 70 - ago),
    }
    for code, counted in courses.items():
        for edge in ("0.1", "0.25", "+Inf"):
            shown = labels | {"http_response_status_code": code, "le": edge}
            matchers = ",".join(f'{key}="{value}"' for key, value in shown.items())
            name = "kn_serving_invocation_duration_seconds_bucket"
            for ago in range(180, -AHEAD_S - 1, -5):
                text += f"{name}{{{matchers}}} {10 * counted(ago):g} {now - ago:.3f}\n"
    return text


def unlucky(namespace: str) -> str:
    """A candidate of 1 % by bad luck: 0.5 % of its requests fail, and 2 % of those of one minute."""
    labels = {"namespace": namespace, "serving_knative_dev_revision": CANDIDATE}
    text, now = "", time.time()

    def failed(age: float) -> float:
        return 0.05 * age + 0.15 * min(60, max(0, age - 120))

    courses: dict[str, Callable[[float], float]] = {
        "503": failed,
        "200": lambda age: 10 * age - failed(age),
    }
    for code, counted in courses.items():
        for edge in ("0.1", "0.25", "+Inf"):
            shown = labels | {"http_response_status_code": code, "le": edge}
            matchers = ",".join(f'{key}="{value}"' for key, value in shown.items())
            name = "kn_serving_invocation_duration_seconds_bucket"
            for ago in range(180, -AHEAD_S - 1, -5):
                text += f"{name}{{{matchers}}} {counted(180 - ago):g} {now - ago:.3f}\n"
    return text


@pytest.fixture(scope="module")
def remembered_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    one = {"namespace": "default", "revision": CANDIDATE}
    fresh: dict[str, Any] = {"until": -AHEAD_S, "ahead": AHEAD_S}  # however late a test of it is
    text = lines("failures", one, 1, **fresh)
    served = {"namespace": "default", "serving_knative_dev_revision": CANDIDATE}
    text += lines("kn_serving_invocation_duration_seconds_count", served, 10, **fresh)
    text += only(
        lines("failures", one | {"namespace": "gappy"}, 1, **fresh), lambda ago: not 40 < ago < 79
    )
    for namespace in ("default", "gappy"):
        text += answered(namespace, CANDIDATE, 10) + answered(namespace, INCUMBENT, 90)
    text += restarted("restarted") + answered("restarted", INCUMBENT, 90)
    text += recovered("recovered") + answered("recovered", INCUMBENT, 90)
    text += unlucky("unlucky") + answered("unlucky", INCUMBENT, 90, failed=0.01)
    with remembering(tmp_path_factory.mktemp("trouble"), text) as url:
        yield url


@pytest.fixture
def remembered(remembered_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", remembered_url)
    return remembered_url


def look(
    *objectives: dict[str, Any], namespace: str = "default", since: float = 150
) -> LiveEvidence:
    deployed = deployment().model_copy(update={"namespace": namespace})
    wanted = policy(slo={"objectives": [ERRORS, *objectives], "metrics": OWN}, traffic=BAKED)
    return judge_step(deployed, wanted, percent=10, since_s=time.time() - since)


def named(evidence: LiveEvidence, name: str) -> Finding:
    return next(one for one in evidence.findings if one.name == name)


@pytest.mark.real
def test_an_absent_series_of_a_candidate_that_serves_is_broken_evidence(remembered: str) -> None:
    found = named(look(promql('sum(absent{revision="$revision"})')), "q")
    assert found.word is Word.INVALID
    assert "although the candidate answers requests" in found.message


@pytest.mark.real
def test_an_error_series_that_never_was_is_no_error_where_requests_are_counted(
    remembered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Prometheus(url=remembered, budget_s=1)
    failed, count = 'sum(absent{r="a"})', 'sum(failures{namespace="default"})'
    assert asked.number(f"({failed} or 0 * {count}) / {count}").value == 0
    assert named(look(), "live errors").observed == 0


@pytest.mark.real
def test_too_few_requests_in_the_window_are_not_judged(remembered: str) -> None:
    query = 'sum(increase(failures{namespace="$namespace",revision="$revision"}[$window]))'
    for limit in (0, 1e6):  # neither a bad number nor a good one counts
        objective = promql(query, limit=limit, window_s=60, min_samples=5000)
        found = named(look(objective), "q")
        assert found.word is Word.INCONCLUSIVE
        assert "requests in the window, 5000 are needed" in found.message
        assert found.samples == pytest.approx(600, rel=0.1)


@pytest.mark.real
def test_a_hole_in_the_samples_behind_a_query_is_invalid(
    remembered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Prometheus(url=remembered, budget_s=1)
    query = 'sum(rate(failures{namespace="gappy"}[2m]))'
    assert asked.number(query, window_s=120).trouble is Trouble.STALE
    assert asked.number(query, window_s=30).trouble is Trouble.NONE  # the hole lies before it


@pytest.mark.real
def test_a_counter_that_began_again_is_counted_on_and_said(remembered: str) -> None:
    evidence = look(namespace="restarted")
    assert evidence.requests == pytest.approx(
        1450, rel=0.08
    )  # 10 rps of the 150 s, less one scrape
    found = named(evidence, "request metrics")
    assert "began again 1 times, as after a restart" in found.message
    assert (found.word, found.blocking) == (Word.INCONCLUSIVE, False)


@pytest.mark.real
def test_what_was_before_the_step_is_not_counted(remembered: str) -> None:
    assert look(namespace="recovered", since=150).word is Word.FAIL
    evidence = look(namespace="recovered", since=55)
    assert named(evidence, "live errors").observed == 0
    assert evidence.word is not Word.FAIL


@pytest.mark.real
def test_a_window_is_clamped_to_the_time_since_the_step(remembered: str) -> None:
    query = 'sum(increase(failures{namespace="$namespace",revision="$revision"}[$window]))'
    found = named(look(promql(query, window_s=300), since=40), "q")
    assert "[40s]" in found.query or "[41s]" in found.query
    assert found.observed == pytest.approx(40, abs=6)


@pytest.mark.real
def test_a_failure_counts_by_the_looks_that_were_all_within_the_step(remembered: str) -> None:
    query = 'sum(failures{namespace="$namespace",revision="$revision"})'
    failing = {"looks": 3, "of": 4, "every_s": 10}

    def of(since: float) -> Finding:
        return named(look(promql(query, window_s=5, failing=failing), since=since), "q")

    assert of(12).word is Word.INCONCLUSIVE
    assert of(120).word is Word.FAIL
    assert "at 4 of the last 4 looks (3 of 4 fail)" in of(120).message


def with_clock(monkeypatch: pytest.MonkeyPatch, off_by: float) -> None:
    """This machine's clock is ahead by so much; Prometheus' own is the real one."""
    own = partial(Prometheus, clock=lambda: time.time() + off_by)
    monkeypatch.setattr(revision_metrics, "Prometheus", own)


@pytest.mark.real
def test_a_clock_that_is_off_by_more_than_a_scrape_is_invalid(
    remembered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Prometheus(url=remembered).skew_s() == pytest.approx(0, abs=1)
    assert Prometheus(url=remembered, clock=lambda: time.time() + 30).skew_s() < -29
    assert Prometheus(url=remembered, clock=lambda: time.time() - 30).skew_s() > 29
    for off_by, words in ((9.0, "s behind this machine's"), (-9.0, "s ahead of this machine's")):
        with_clock(monkeypatch, off_by)
        evidence = look()
        found = named(evidence, "clock")  # scraped every 5 s
        assert (found.word, evidence.word) == (Word.INVALID, Word.INVALID)
        assert f"{words}, more than a scrape interval of 5 s" in found.message
    with_clock(monkeypatch, 3.0)
    assert all(one.name != "clock" for one in look().findings)


@pytest.mark.real
def test_looking_often_and_at_many_objectives_takes_no_candidate_back_for_bad_luck(
    remembered: str,
) -> None:
    """A threshold would have fired: at many of the looks more than 1 % of the requests had failed."""
    many = [ERRORS | {"name": f"errors {n}"} for n in range(5)]
    looks = [look(*many, namespace="unlucky", since=since) for since in range(175, 20, -10)]
    over = [named(one, "live errors").observed or 0 for one in looks]
    assert sum(ratio > 0.0101 for ratio in over) >= 3
    assert [one.word for one in looks if one.word is Word.FAIL] == []


@pytest.mark.real
def test_a_prometheus_that_dies_in_the_middle_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_gate, "BUDGET_S", 0.2)
    text = answered("default", CANDIDATE, 10) + answered("default", INCUMBENT, 90)
    with remembering(tmp_path, text) as url:
        monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", url)
        assert look().word is Word.PASS
    found = look()
    assert (found.word, found.requests) == (Word.INVALID, None)


@pytest.mark.real
@pytest.mark.parametrize(
    ("exposure", "percent", "word"),
    [
        ({}, 10, None),
        ({"max_requests": 2000}, 10, None),
        ({"max_requests": 500}, 10, Word.INCONCLUSIVE),
        ({"max_requests": 500}, 100, None),
        ({"max_errors": 0}, 10, None),
    ],
)
def test_what_users_have_seen_is_counted_from_the_first_share_whoever_counts(
    remembered: str, exposure: dict[str, int], percent: int, word: Word | None
) -> None:
    """The journal knows since when, Prometheus how much: nothing is lost when a run dies."""
    deployed = deployment()
    acts = (
        ActRecord(kind=ActKind.STAGE, percent=0, intended_s=time.time() - 900),
        ActRecord(kind=ActKind.SHIFT, percent=10, intended_s=time.time() - 100),
    )
    journal = Journal(
        release_id="r-1", subject=deployed.subject, namespace="default", name="m", deadline_s=0,
        storage_uri="s", acts=acts, deployment=deployed.model_dump(mode="json"),
    )  # fmt: skip
    ended = exposed_too_much(journal, policy(traffic={"exposure": exposure}), percent)
    assert (ended.word if ended else None) == word
    if ended:
        assert "traffic.exposure allows 500 below 100 %" in ended.reason


# -- TLS and credentials


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """A self-signed certificate of 127.0.0.1 and its key; its own authority."""
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(cert), str(key)


@contextlib.contextmanager
def guarded(folder: Path, server: tuple[str, str], client: str) -> Iterator[str]:
    """A real Prometheus behind TLS that asks for a client certificate, and for the user `me`: `test`."""
    web = folder / "web.yml"
    tls = {
        "cert_file": server[0],
        "key_file": server[1],
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": client,
    }
    # bcrypt of `test`, from Prometheus' own guide to basic authentication
    hashed = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"
    web.write_text(json.dumps({"tls_server_config": tls, "basic_auth_users": {"me": hashed}}))
    config, own = folder / "prometheus.yml", free_port()
    config.write_text("{}")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--web.config.file={web}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
    ]
    with running(command):
        yield f"https://127.0.0.1:{own}"


@pytest.mark.real
def test_tls_and_a_user_are_needed_by_a_real_prometheus_that_asks_for_them(tmp_path: Path) -> None:
    if not has_prometheus():
        pytest.skip("needs the Debian package prometheus")
    server, mine = certificate(tmp_path, "server"), certificate(tmp_path, "mine")
    (tmp_path / "password").write_text("test\n")
    (tmp_path / "wrong").write_text("guess")
    right = {
        "ca_file": server[0],
        "cert_file": mine[0],
        "key_file": mine[1],
        "username": "me",
        "password_file": str(tmp_path / "password"),
    }
    with guarded(tmp_path, server, mine[0]) as url:

        def ask(budget_s: float = 0.3, **changes: Any) -> Any:
            access = Access(**{**right, **changes})
            return Prometheus(url=url, access=access, budget_s=budget_s).number("vector(7)")

        assert ask(budget_s=20).value == 7
        assert ask(ca_file="", insecure=True).value == 7
        unknown = ask(ca_file="")
        assert unknown.trouble is Trouble.REFUSED
        assert "name its authority in TIDEGATE_PROMETHEUS_CA_FILE" in unknown.detail
        assert ask(cert_file="", key_file="").trouble is Trouble.UNREACHABLE  # the server hangs up
        stranger = ask(password_file=str(tmp_path / "wrong"))
        assert stranger.trouble is Trouble.REFUSED
        assert "HTTP 401" in stranger.detail
        assert "TIDEGATE_PROMETHEUS_USERNAME" in stranger.detail
        for field in ("ca_file", "cert_file", "password_file"):
            lost = ask(0.3, **{field: str(tmp_path / "nowhere")})
            assert lost.trouble is Trouble.REFUSED
            assert f"TIDEGATE_PROMETHEUS_{field.upper()} = " in lost.detail
            assert "correct it" in lost.detail


def test_a_bearer_token_is_read_again_for_every_request(tmp_path: Path) -> None:
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers.get("Authorization", ""))
            is_right = seen[-1] == "Bearer new"
            self.send_response(200 if is_right else 403)
            self.end_headers()
            answer = {"status": "success", "data": {"resultType": "scalar", "result": [1, "5"]}}
            self.wfile.write(json.dumps(answer).encode() if is_right else b"no")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    cert, key = certificate(tmp_path, "server")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    token = tmp_path / "token"
    access = Access(ca_file=cert, token_file=str(token))
    asked = Prometheus(url=f"https://127.0.0.1:{server.server_port}", access=access, budget_s=0.3)
    try:
        token.write_text("old\n")
        assert asked.number("vector(1)").trouble is Trouble.REFUSED
        token.write_text("new\n")
        assert asked.number("vector(1)").value == 5
        token.unlink()
        lost = asked.number("vector(1)")
    finally:
        server.shutdown()
        server.server_close()
    assert seen == ["Bearer old", "Bearer new"]
    assert "TIDEGATE_PROMETHEUS_TOKEN_FILE" in lost.detail


def test_trusting_whoever_answers_must_be_asked_for_in_words() -> None:
    assert not Access.of(settings({})).insecure
    assert Access.of(settings({"TIDEGATE_PROMETHEUS_INSECURE": "true"})).insecure
    with pytest.raises(RejectedError, match="TIDEGATE_PROMETHEUS_INSECURE = 'yes'; write true"):
        Access.of(settings({"TIDEGATE_PROMETHEUS_INSECURE": "yes"}))
