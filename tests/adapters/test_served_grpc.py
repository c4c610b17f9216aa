"""A pod whose one port is gRPC is asked over gRPC, and says which version it is."""

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tidegate.adapters.served_model import answers_as
from tidegate.adapters.serving import raw, unraw
from tidegate.documents import Probe, Tensor
from tidegate.errors import ConflictError, RejectedError, UnavailableError

PIXELS = Tensor(name="pixels", dtype="FP32", shape=(-1, 4))
WORDS = Tensor(name="words", dtype="STRING", shape=(-1,))
PROBE = Probe(model="digits", inputs=(PIXELS, WORDS), version="7", transport="grpc")


class Model(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers ModelInfer as the version that it is."""

    def __init__(self) -> None:
        self.version, self.code = "7", None
        self.asked: list[Any] = []
        self.hosts: set[str] = set()

    def service(self, handler_call_details: Any) -> Any:
        assert handler_call_details.method == "/inference.GRPCInferenceService/ModelInfer"

        def answer(body: bytes, context: Any) -> bytes:
            self.asked.append(service_pb2.ModelInferRequest.FromString(body))
            if self.code is not None:
                context.abort(self.code, "no such input")
            reply = service_pb2.ModelInferResponse(model_name="digits", model_version=self.version)
            sent: bytes = reply.SerializeToString()
            return sent

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    held = Model()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[held])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("TIDEGATE_INGRESS_URL", f"http://127.0.0.1:{port}")
    yield held
    server.stop(None).wait()


def test_the_version_that_answers_every_request_of_a_sample_is_believed(model: Model) -> None:
    answers_as("latest-digits.example.com", PROBE, within_s=5)
    first = model.asked[0]
    assert first.model_name == "digits"
    assert [(one.name, list(one.shape)) for one in first.inputs] == [
        ("pixels", [1, 4]),
        ("words", [1]),
    ]
    assert first.raw_input_contents[0] == bytes(16)
    assert unraw(first.raw_input_contents[1], "BYTES").tolist() == [""]


@pytest.mark.parametrize("dtype", ["S", "U", "O"])
def test_strings_are_sent_as_they_are_however_numpy_holds_them(dtype: str) -> None:
    words = np.array([b"a" if dtype == "S" else "a", b"bc" if dtype == "S" else "bc"], dtype)
    assert unraw(raw(words, "STRING"), "BYTES").tolist() == ["a", "bc"]


def test_another_version_is_a_conflict(model: Model) -> None:
    model.version = "6"
    with pytest.raises(ConflictError, match="is answered by version 6, not 7"):
        answers_as("latest-digits.example.com", PROBE, within_s=0.1)


def test_a_server_that_names_no_version_or_refuses_zeros_is_told_at_once(model: Model) -> None:
    model.version = ""
    with pytest.raises(RejectedError, match="does not name a model_version"):
        answers_as("h", PROBE, within_s=5)
    model.version, model.code = "7", grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(RejectedError, match="INVALID_ARGUMENT: no such input; check the model"):
        answers_as("h", PROBE, within_s=5)


def test_a_server_that_is_not_ready_is_waited_for_and_then_unavailable(model: Model) -> None:
    model.code = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(UnavailableError, match="does not answer: gRPC UNAVAILABLE"):
        answers_as("h", PROBE, within_s=0.1)
