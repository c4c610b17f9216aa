"""Real Envoy before real Tritons: splits, tag hosts, both protocols, and no request lost on a change."""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpcclient
from scipy.stats import binom

from tests.sandbox.real_servers import (
    BLUE,
    GREEN,
    HOST,
    NAMESPACE,
    Digits,
    at_once,
    body,
    eventually,
    split,
)
from tidegate.errors import RejectedError
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.interfaces import HostRoute

pytestmark = pytest.mark.real
REVISION = "x-tidegate-revision"
INFER = "/v2/models/digits/infer"


def ask(
    client: httpx.Client, ingress: EnvoyIngress, images: Any, host: str = HOST
) -> httpx.Response:
    return client.post(f"{ingress.url}{INFER}", json=body(images), headers={"host": host})


def hits(ingress: EnvoyIngress, images: Any, count: int, host: str = HOST) -> Counter[str]:
    with httpx.Client(trust_env=False, timeout=20) as client:
        return Counter(ask(client, ingress, images, host).headers[REVISION] for _ in range(count))


def is_plausible(seen: int, count: int, share: float) -> bool:
    """Within what a fair coin gives but once in a million runs."""
    low, high = binom.interval(1 - 1e-6, count, share)
    return bool(low <= seen <= high)


def test_http_is_split_by_weight(ingress: EnvoyIngress, digits: Digits) -> None:
    ingress.program([split(90, 10)])
    seen = hits(ingress, digits.images[:1], 600)
    assert set(seen) == {BLUE, GREEN}
    assert is_plausible(seen[GREEN], 600, 0.10), seen


def test_grpc_is_split_by_weight_and_answered_right(ingress: EnvoyIngress, digits: Digits) -> None:
    ingress.program([split(90, 10)])
    before = by_revision(ingress)
    options = [("grpc.default_authority", HOST)]
    client = grpcclient.InferenceServerClient(f"127.0.0.1:{ingress.port}", channel_args=options)
    tensor = grpcclient.InferInput("X", [2, 64], "FP32")
    tensor.set_data_from_numpy(digits.images[:2])
    expected = digits.answers(digits.images[:2])[0]
    for _ in range(400):
        answer = client.infer("digits", [tensor]).as_numpy("label")
        np.testing.assert_array_equal(answer.ravel(), expected)
    client.close()
    seen = by_revision(ingress)
    seen.subtract(before)
    assert seen[BLUE] + seen[GREEN] == 400
    assert is_plausible(seen[GREEN], 400, 0.10), seen


def by_revision(ingress: EnvoyIngress) -> Counter[str]:
    """Envoy's own count of gRPC requests per cluster."""
    counts: Counter[str] = Counter()
    for name in (BLUE, GREEN):
        cluster = f"cluster.{NAMESPACE}/{name}/grpc.upstream_rq_completed"
        counts[name] = int(ingress.admin(f"/stats?filter={cluster}").partition(": ")[2] or 0)
    return counts


@pytest.mark.parametrize("port", ["", ":80"])
def test_a_tag_host_pins_its_revision(ingress: EnvoyIngress, digits: Digits, port: str) -> None:
    tag = f"latest-{HOST}"
    ingress.program([split(100, 0), split(0, 100, host=tag)])
    assert hits(ingress, digits.images[:1], 20, f"{tag}{port}") == {GREEN: 20}
    assert hits(ingress, digits.images[:1], 20, f"{HOST}{port}") == {BLUE: 20}


def test_a_second_envoy_on_the_same_port_does_not_start(
    ingress: EnvoyIngress, tmp_path: Path
) -> None:
    second = EnvoyIngress(tmp_path, endpoints=lambda *_: ())
    second.port = ingress.port  # as when two sandboxes looked for a free one at the same time
    with pytest.raises(RejectedError, match="envoy ended"):
        second.start()
    second.close()


def test_an_unknown_host_is_404_and_a_revision_that_is_not_there_503(
    ingress: EnvoyIngress, digits: Digits
) -> None:
    absent = HostRoute(host="absent.example.com", weights=((NAMESPACE, "absent", 100),))
    nobody = HostRoute(host="nobody.example.com", weights=())
    ingress.program([absent, nobody])
    with httpx.Client(trust_env=False) as client:
        codes = [
            ask(client, ingress, digits.images[:1], host).status_code
            for host in ("unknown.example.com", absent.host, nobody.host)
        ]
    assert codes == [404, 503, 503]


def test_a_change_is_in_force_when_program_returns(ingress: EnvoyIngress, digits: Digits) -> None:
    with httpx.Client(trust_env=False, timeout=20) as client:
        for turn in range(20):
            wanted = (BLUE, GREEN)[turn % 2]
            ingress.program([HostRoute(host=HOST, weights=((NAMESPACE, wanted, 100),))])
            assert ask(client, ingress, digits.images[:1]).headers[REVISION] == wanted


def test_no_request_fails_while_weights_move_and_clusters_come_and_go(
    ingress: EnvoyIngress, digits: Digits
) -> None:
    labels = digits.answers(digits.images[:50])[0]
    ingress.program([split(100, 0)])
    ended = threading.Event()
    sent: Counter[int] = Counter()

    def load(index: int) -> None:
        with httpx.Client(trust_env=False, timeout=20) as client:
            while not ended.is_set():
                row = (sum(sent.values()) + index) % 50
                answer = ask(client, ingress, digits.images[row : row + 1])
                assert answer.status_code == 200, answer.text
                outputs = {o["name"]: o["data"] for o in answer.json()["outputs"]}
                assert outputs["label"] == [labels[row]]
                sent[index] += 1

    def move() -> None:
        try:
            for share in (10, 50, 90, 100, 0, 30, 100, 0, 100, 60, 0):
                ingress.program([split(100 - share, share)])
                time.sleep(0.4)  # longer than the drain, so that unused clusters are dropped
        finally:
            ended.set()

    at_once(5, lambda index: move() if index == 4 else load(index))
    assert sum(sent.values()) > 200


def test_clusters_that_no_route_names_are_dropped_after_the_drain(ingress: EnvoyIngress) -> None:
    ingress.program([split(50, 50)])
    ingress.program([split(0, 100)])
    assert f"{NAMESPACE}/{BLUE}/http::" in ingress.admin("/clusters")
    eventually(lambda: f"{NAMESPACE}/{BLUE}/http::" not in ingress.admin("/clusters"))
    assert f"{NAMESPACE}/{GREEN}/http::" in ingress.admin("/clusters")
