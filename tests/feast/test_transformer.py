"""examples/transformer as a process, between a model and what Feast's own server was recorded to answer."""

import array
import json
import os
import subprocess
import sys
import time

import pytest

from tests.feast.conftest import ANSWERS, PROGRAM, Feast, Model, Served, transformer
from tests.feast.customers import IDS, NO_AMOUNT, UNKNOWN, rows

ROW = dict(zip(IDS, rows().tolist(), strict=True))
HEADER = "Inference-Header-Content-Length"
Between = tuple[Feast, str, Model, str]


def test_the_model_is_asked_with_what_feast_has_in_the_order_of_its_columns(served: Served) -> None:
    answer = served.ask(IDS[2], IDS[0], IDS[2])
    assert answer.status_code == 200, answer.text
    assert served.feast.asked == [ANSWERS["three"]["asked"]]
    (tensor,) = served.model.asked[0]["inputs"]
    assert {k: tensor[k] for k in ("name", "datatype", "shape")} == {
        "name": "X", "datatype": "FP32", "shape": [3, 4],
    }  # fmt: skip
    wanted = [*ROW[IDS[2]], *ROW[IDS[0]], *ROW[IDS[2]]]
    assert tensor["data"] == pytest.approx(wanted)


def test_the_answer_is_handed_on_as_it_is_with_the_version_that_gave_it(served: Served) -> None:
    answer = served.ask(IDS[0])
    assert answer.content == served.model.said
    assert answer.json()["model_version"] == "3"


def test_a_connection_that_feast_closed_meanwhile_costs_no_request(served: Served) -> None:
    """The server of these tests closes each one after its answer and does not say so."""
    import httpx

    url = f"http://{served.address}/v2/models/fraud/infer"
    tensor = {"name": "customer_id", "datatype": "INT64", "shape": [1], "data": [IDS[0]]}
    with httpx.Client(trust_env=False) as kept:
        answers = [kept.post(url, json={"inputs": [tensor]}) for _ in range(5)]
    assert [one.status_code for one in answers] == [200] * 5


def test_what_else_a_client_sends_goes_on_to_the_model(served: Served) -> None:
    own = {"name": "basket", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}
    ids = {"name": "customer_id", "datatype": "INT64", "shape": [1], "data": [IDS[0]]}
    nameless = {"data": [1]}  # whether that is one is the model's business
    sent = {"id": "7", "inputs": [own, ids, nameless], "outputs": [{"name": "y"}]}
    assert served.post(sent).status_code == 200
    asked = served.model.asked[0]
    assert (asked["id"], asked["outputs"]) == ("7", [{"name": "y"}])
    assert asked["inputs"][0]["name"] == "X"
    assert asked["inputs"][1:] == [own, nameless]


def test_ids_in_binary_tensors_are_read_as_those_in_json(served: Served) -> None:
    ids = array.array("q", [IDS[2], IDS[0], IDS[2]]).tobytes()
    text = b"".join(len(one).to_bytes(4, "little") + one for one in (b"1001",))
    for datatype, count, data in (("INT64", 3, ids), ("BYTES", 1, text)):
        size = {"binary_data_size": len(data)}
        tensor = {
            "name": "customer_id",
            "datatype": datatype,
            "shape": [count, 1],
            "parameters": size,
        }
        head = json.dumps({"inputs": [tensor]}).encode()
        answer = served.post(head + data, headers={HEADER: str(len(head))})
        assert answer.status_code == 200, answer.text
    assert [one["entities"]["customer_id"] for one in served.feast.asked] == [
        [IDS[2], IDS[0], IDS[2]], ["1001"],
    ]  # fmt: skip


def test_a_model_or_a_feast_that_is_away_is_named_with_who_was_asked_for(between: Between) -> None:
    _, feast_at, _, model_at = between
    with transformer(feast_at, "127.0.0.1:9") as address:
        alone = Served(address, between[0], between[2])
        answer = alone.ask(IDS[0])
        assert (answer.status_code, answer.json()["error"].split(": ")[0]) == (
            503, "the model at 127.0.0.1:9",
        )  # fmt: skip
    with transformer("127.0.0.1:9", model_at) as address:
        answer = Served(address, between[0], between[2]).ask(IDS[0])
        of = "customer_id 1001: orders:amount_30d, risk:chargebacks, orders:count_30d and 1 more"
        assert answer.status_code == 503
        assert answer.json()["error"].startswith(f"{of}: Feast at 127.0.0.1:9: ")


@pytest.mark.parametrize(
    ("one", "status", "said"),
    [
        (NO_AMOUNT, 422, "customer_id 2001: orders:amount_30d is null in Feast"),
        ("a", 502, "Feast answered 500: \"invalid literal for int() with base 10: 'a'\""),
    ],
)
def test_what_feast_does_not_have_of_an_entity_is_named_and_asks_no_model(
    served: Served, one: object, status: int, said: str
) -> None:
    answer = served.ask(one)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert served.model.asked == []


def test_one_unknown_entity_of_several_ends_the_request_by_its_id(served: Served) -> None:
    answer = served.ask(IDS[0], UNKNOWN)
    told = "customer_id 9: orders:amount_30d is not found in Feast"
    assert (answer.status_code, answer.json()["error"]) == (404, told)
    assert served.model.asked == []


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("no such feature", "Feast answered 500: \"'Feature sum not found in projection orders'\""),
        ("no such view", "Feature view baskets does not exist in project shop"),
        ("no such service", "Feature service frauds does not exist in project shop"),
        ("another entity", "Missing join key values for keys: ['customer_id']"),
    ],
)
def test_what_feast_itself_refuses_is_said_in_its_own_words_with_who_and_what_was_asked(
    served: Served, recorded: str, said: str
) -> None:
    told = ANSWERS[recorded]
    served.feast.instead = lambda: (told["status"], json.dumps(told["answer"]).encode())
    answer = served.ask(IDS[0])
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("customer_id 1001: orders:amount_30d, ")
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_a_feast_that_is_slow_is_given_up_and_named_and_the_next_answer_is_nobody_elses(
    served: Served,
) -> None:
    def slow() -> tuple[int, bytes]:
        time.sleep(0.8)
        return 200, json.dumps(ANSWERS["one"]["answer"]).encode()

    served.feast.instead = slow
    answer = served.ask(IDS[0])
    assert answer.status_code == 504
    assert "customer_id 1001: orders:amount_30d" in answer.json()["error"]
    assert "timed out" in answer.json()["error"]
    served.feast.instead = None
    assert served.ask(IDS[2], IDS[0], IDS[2]).status_code == 200


@pytest.mark.parametrize(
    "told",
    [b"<html>", b"{}", b"[]", b'{"metadata": {"feature_names": ["customer_id"]}, "results": []}'],
)
def test_an_answer_that_is_no_features_is_a_bad_gateway(served: Served, told: bytes) -> None:
    served.feast.instead = lambda: (200, told)
    answer = served.ask(IDS[0])
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("customer_id 1001: orders:amount_30d")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "no inputs"),
        ({"id": "7"}, "no inputs"),
        ({"inputs": [{"name": "customer_id", "datatype": "TEXT"}]}, "TEXT"),
        ({"inputs": []}, "no tensor customer_id"),
        ({"inputs": [{"name": "customer_id", "shape": [0, 1], "data": []}]}, "0 ids in shape"),
        ({"inputs": [{"name": "customer_id", "shape": [1, 2], "data": [1, 2]}]}, "send one a row"),
        ({"inputs": [{"name": "customer_id", "shape": [1], "data": [1.5]}]}, "customer_id 1.5: no id"),
        ({"inputs": [{"name": "customer_id", "shape": [1], "data": [True]}]}, "customer_id True: no id"),
    ],
)  # fmt: skip
def test_a_request_without_ids_is_refused_by_what_is_wrong_with_it(
    served: Served, sent: object, said: str
) -> None:
    answer = served.post(sent if isinstance(sent, bytes) else dict(sent))  # type: ignore[call-overload]
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert served.feast.asked == served.model.asked == []


def test_it_is_ready_as_the_model_is(served: Served) -> None:
    import httpx

    url = f"http://{served.address}/v2/health/ready"
    assert httpx.get(url, trust_env=False).status_code == 200
    served.model.ready = 400
    assert httpx.get(url, trust_env=False).status_code == 400


def test_only_inference_passes_it(served: Served) -> None:
    answer = served.post({}, "/v2/repository/models/fraud/unload")
    assert (answer.status_code, "ask /v2/models/" in answer.json()["error"]) == (404, True)
    assert served.model.asked == []


@pytest.mark.parametrize(
    ("wrong", "timeout_s", "said"),
    [
        ("--features=amount_30d", "1", "--features: invalid named value: 'amount_30d'"),
        ("--predictor_protocol=v1", "1", "--predictor_protocol: invalid choice: 'v1'"),
        (
            "--feast_serving_url=http://me:secret@f",
            "1",
            "--feast_serving_url: no server; write host:port",
        ),
        ("--feast_serving_url=f:port", "1", "--feast_serving_url: no server; write host:port"),
        (
            "--feast_serving_url=grpc://f:6566",
            "1",
            "--feast_serving_url: no server; write host:port",
        ),
        ("--workers=2", "soon", "--feast_timeout_s: invalid seconds value: 'soon'"),
    ],
)
def test_a_command_line_or_timeout_that_means_nothing_is_refused_by_its_flag(
    wrong: str, timeout_s: str, said: str
) -> None:
    command = [
        sys.executable, str(PROGRAM), "--predictor_host=m", "--feast_serving_url=f",
        "--entity_id_name=e", "--features=a:b", wrong,
    ]  # fmt: skip
    environment = os.environ | {"FEAST_TIMEOUT_S": timeout_s}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "secret" not in done.stderr
