"""What KServe's own servers take, keep and tell."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.checkup import Check, State
from tidegate.core.checkup_runtime import runtime_of
from tidegate.core.kserve_server import linted, source_of, unfit, version_of
from tidegate.documents import Word
from tidegate.policy import Policy

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9a-f]{1,12}", fullmatch=True)


def policy(serving: dict[str, Any] | None = None, **parts: Any) -> Policy:
    base = {"name": "iris", "model": {"uri": "models:/iris/1"}}
    return Policy.model_validate(
        base | {"serving": {"format": "sklearn"} | (serving or {})} | parts
    )


@given(NAMES, NAMES, VERSIONS)
def test_a_version_is_read_back_from_what_its_server_says_and_no_other_models_is(
    model: str, other: str, version: str
) -> None:
    assert version_of(source_of(model, version), model) == version
    assert (version_of(source_of(other, version), model) == "") == (other != model)
    assert version_of(f"io.kserve.inference.{model}", model) == ""


QUEUE = {"kind": "keda", "triggers": [{"kind": "queue_time", "threshold": 20}]}
PENDING = {
    "kind": "keda",
    "triggers": [{"query": "avg(nv_inference_pending_request_count)", "threshold": 4}],
}
PROMQL = {"kind": "promql", "name": "queue", "limit": 1.0}


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"triton": {"max_batch_size": 8}}, "triton.max_batch_size is of Triton's repository"),
        ({"triton": {"response_cache": True}}, "triton.response_cache"),
        ({"optimize": {"target": "openvino"}}, "optimize.target is of Triton's repository"),
        (
            {"repository": {"models": [{"name": "other", "role": "beside", "uri": "models:/o/1"}]}},
            "repository.models is of Triton's repository",
        ),
        ({"serving": {"protocol": "v1", "batcher": {}}}, "serving.batcher"),
        (
            {"serving": {"port": "grpc"}, "load": {"protocol": "grpc"}},
            "serving.port = 'grpc' is not released",
        ),
        ({"load": {"protocol": "grpc"}}, "load.protocol = 'grpc'"),
        ({"load": {"capture": "captured.jsonl"}}, "load.capture"),
        ({"load": {"cross_check": True}}, "load.cross_check"),
        (
            {
                "serving": {"transformer": {"image": "t:1", "port": 8081}},
                "load": {"capture": "captured.jsonl"},
            },
            "a collocated serving.transformer",
        ),
        ({"serving": {"env": {"CE_SOURCE": "mine"}}}, "serving.env names CE_SOURCE"),
        ({"serving": {"args": ["--model_name=other"]}}, "serving.args says --model_name=other"),
        ({"serving": {"scaling": QUEUE, "mode": "Standard"}}, "serving.scaling follows queue_time"),
        ({"serving": {"scaling": PENDING, "mode": "Standard"}}, "serving.scaling follows avg(nv_"),
        ({"serving": {"runtime": ""}}, "serving.runtime = '' lets KServe choose MLServer"),
        ({"slo": {"source": "triton"}}, "slo.source = 'triton'"),
        (
            {"slo": {"objectives": [PROMQL | {"preset": "triton/queue_share"}]}},
            "slo.objectives.0 reads nv_",
        ),
        (
            {"slo": {"objectives": [{"kind": "gpu", "source": "triton", "limit": 0.9}]}},
            "slo.objectives.0 reads nv_",
        ),
    ],
)
def test_what_needs_triton_is_refused_in_one_line_with_the_remedy(
    parts: dict[str, Any], named: str
) -> None:
    reason = unfit(policy(**parts))
    assert reason.startswith("serving.format = 'sklearn': ")
    assert named in reason
    assert "; " in reason
    assert "\n" not in reason


def test_objectives_of_the_load_report_and_of_the_ingress_are_fit() -> None:
    objectives = [
        {"kind": "latency", "quantile": 0.99, "limit_ms": 50},
        {"kind": "errors", "limit": 0.01},
        {"kind": "relative_latency", "quantile": "p50"},
        PROMQL | {"preset": "knative/p99_ms"},
    ]
    made = {"model_name": "flowers"}
    own = {"triggers": [{"query": "sum(rate(envoy_cluster_upstream_rq[1m]))", "threshold": 9}]}
    keda = {"protocol": "v1", "runtime": "", "mode": "Standard", "scaling": own | {"kind": "keda"}}
    assert unfit(policy(keda, slo={"objectives": objectives}, triton=made)) == ""


@pytest.mark.parametrize(
    ("format_", "names", "word", "message"),
    [
        ("sklearn", ["model.joblib", "tidegate/serving.json"], Word.PASS, "model.joblib"),
        ("sklearn", ["a.pkl", "b.joblib"], Word.FAIL, r"2 files end in .joblib, .pkl, .pickle"),
        ("sklearn", ["model.skops"], Word.FAIL, "0 files"),
        ("xgboost", ["model.ubj", "serving.json"], Word.FAIL, "takes just one"),
        ("xgboost", ["model.ubj", "tidegate/serving.json"], Word.PASS, "model.ubj"),
        ("lightgbm", ["model.txt"], Word.FAIL, "0 files end in .bst"),
    ],
)
def test_a_folder_has_the_one_model_file_that_its_server_looks_for(
    format_: str, names: list[str], word: Word, message: str
) -> None:
    (found,) = linted(format_, names, {})
    assert found.word is word
    assert message in found.message


def test_another_minor_of_the_library_than_in_kserves_image_is_said_and_blocks_nothing() -> None:
    same = linted("sklearn", ["model.joblib"], {"scikit-learn": "1.5.0"})
    _, other = linted("xgboost", ["model.ubj"], {"xgboost-cpu": "3.2.0"})
    assert len(same) == 1
    assert not other.blocking
    assert "written by xgboost 3.2.0, and KServe's own image has 2.1.4" in other.message


def judged(found: dict[str, Any] | None, format_: str = "sklearn", **serving: Any) -> Check:
    name = policy({"format": format_} | serving).serving.served_by
    return runtime_of(name, found, version="", format_=format_)


def test_doctor_looks_for_kserves_own_runtime_of_the_format_and_asks_it_for_no_triton() -> None:
    spec = {
        "containers": [{"image": "kserve/sklearnserver:v0.21.0"}],
        "supportedModelFormats": [{"name": "sklearn", "version": "1"}],
    }
    assert judged({"spec": spec}).state is State.OK
    assert judged({"spec": spec}, runtime="ours").state is State.OK
    absent = judged(None)
    assert (absent.name, absent.state) == ("serving runtime kserve-sklearnserver", State.FAIL)
    assert "ClusterServingRuntimes" in absent.remedy
    off = judged({"spec": spec | {"disabled": True}})
    assert (off.state, off.found) == (State.FAIL, "disabled")
    other = judged({"spec": spec}, "xgboost", runtime="ours")
    assert (other.state, other.found) == (State.FAIL, "serves sklearn, not xgboost")


def test_doctor_says_where_kserve_would_choose_the_runtime() -> None:
    for one in (judged(None, runtime=""), judged(None, "pytorch")):
        assert (one.name, one.state) == ("serving runtime", State.WARN)
        assert one.found.startswith("KServe chooses one for")
