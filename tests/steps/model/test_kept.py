"""A scikit-learn model for KServe's own server: its file, the proof, the folder, and the real server."""

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tests.evidence.conftest import deployment
from tests.sandbox.real_servers import NAMESPACE, eventually, revision
from tidegate.adapters import lanes, served_event, served_model, serving
from tidegate.adapters.kserve_json import KServeJson
from tidegate.adapters.served_forms import kept_file
from tidegate.core.asked import probe_of
from tidegate.core.kserve_server import source_of
from tidegate.core.manifest import predictor
from tidegate.documents import ModelRepository, Tensor
from tidegate.errors import DocumentError, RejectedError
from tidegate.policy import Policy
from tidegate.sandbox.triton import TritonRuntime
from tidegate.steps.load_version import version_findings

SERVED = {"format": "sklearn", "protocol": "v1"}
START_S = 90.0
JSON = {"content-type": "application/json"}


def run(release: Any, *steps: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in steps:
        result = release.run(name)
        assert result.get("verdict") == "PASS", (name, result)
    return result


def kept(release: Any, digits: Any, **serving: Any) -> dict[str, Any]:
    """The last result of optimize, configure and publish."""
    release.policy["serving"] = SERVED | serving
    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows})
    release.fetched("sklearn")
    return run(release, "optimize", "configure", "publish")


def test_the_folder_holds_the_model_and_how_it_is_released_and_no_config(
    release: Any, digits: Any
) -> None:
    kept(release, digits)
    folder = release.path("repository")
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == ["model.joblib", "tidegate/serving.json"]
    document = ModelRepository.model_validate_json(release.path("repository_document").read_text())
    assert (document.format, document.protocol, document.backend) == ("sklearn", "v1", "sklearn")
    assert [t.name for t in (*document.inputs, *document.outputs)] == ["X", "label"]
    assert document.triton_version == ""


def test_a_change_of_the_served_template_alone_is_another_folder(release: Any, digits: Any) -> None:
    first = kept(release, digits)["storage_uri"]
    release.policy["serving"]["env"] = {"PREDICT_PROBA": "true"}
    assert run(release, "configure", "publish")["storage_uri"] != first


def test_answers_are_those_that_the_environment_asks_for(release: Any, digits: Any) -> None:
    kept(release, digits, env={"PREDICT_PROBA": "true"})
    outputs = release.document("optimized")["outputs"]
    assert [(o["name"], o["shape"]) for o in outputs] == [("probabilities", [-1, 10])]
    parity = release.document("optimized")["parity"]
    assert parity["reference"] == "the scikit-learn model"
    assert parity["rows"] == len(digits.rows)


def test_recorded_answers_that_the_file_does_not_give_are_refused(
    release: Any, digits: Any
) -> None:
    release.policy["serving"] = SERVED
    wrong = np.roll(digits.model.predict(digits.rows), 1)
    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows}, {"label": wrong})
    release.fetched("sklearn")
    result = release.run("optimize")
    assert result["verdict"] == "FAIL"
    assert "label (recorded)" in json.dumps(release.document("optimized"))


def test_a_model_of_another_framework_and_rows_that_json_lacks_are_one_line(
    release: Any, digits: Any
) -> None:
    release.policy["serving"] = SERVED | {"format": "xgboost"}
    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows})
    release.fetched("sklearn")
    with pytest.raises(DocumentError, match="flavor sklearn is not served by"):
        release.run("optimize")
    release.policy["serving"] = SERVED
    gaps = digits.rows.copy()
    gaps[0, 0] = np.nan
    release.golden(release.path("model_tree"), {"X": gaps})
    release.fetched("sklearn")
    with pytest.raises(DocumentError, match="hold NaN or infinity, which JSON does not carry"):
        release.run("optimize")


def test_a_transformer_of_scikit_learn_has_nothing_that_the_server_calls(release: Any) -> None:
    from sklearn.preprocessing import StandardScaler

    rows = np.arange(240, dtype=np.float32).reshape(60, 4)
    release.policy["serving"] = SERVED
    release.golden(release.sklearn_tree(StandardScaler().fit(rows)), {"X": rows})
    release.fetched("sklearn")
    with pytest.raises(RejectedError, match="StandardScaler without predict"):
        release.run("optimize")


@pytest.mark.parametrize("spoken", ["v1", "v2"])
def test_labels_of_text_are_served_in_v1_and_refused_in_v2_which_kserve_fails_to_write(
    release: Any, digits: Any, spoken: str
) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(1).fit(digits.rows[:60], digits.truth[:60].astype(np.str_))
    release.policy["serving"] = SERVED | {"protocol": spoken}
    release.golden(release.sklearn_tree(model), {"X": digits.rows[:60]})
    release.fetched("sklearn")
    if spoken == "v2":
        with pytest.raises(
            RejectedError, match=r"answers with text, .* write serving\.protocol: v1"
        ):
            release.run("optimize")
    else:
        run(release, "optimize", "configure")
        assert release.document("repository_document")["outputs"][0]["dtype"] == "STRING"


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        (np.zeros(3, np.float16), "answers with float16, which KServe's server does not write"),
        (np.zeros(3, "datetime64[D]"), r"answers with datetime64\[D\]"),
        (np.array([b"a", b"b", b"a"]), r"answers with \|S1"),
        ([np.zeros((3, 2)), np.zeros((3, 2))], r"answers 3 rows with shape \(2, 3, 2\)"),
        (0.5, r"answers 3 rows with shape \(\)"),
    ],
)
def test_answers_that_the_server_cannot_write_as_json_are_one_line(
    answers: Any, named: str
) -> None:
    with pytest.raises(RejectedError, match=named):
        kept_file.answered(lambda _: answers, np.zeros((3, 4)), "models:/iris/1", "v1")


@pytest.mark.parametrize(
    ("spoken", "answer"),
    [
        ("v1", b""),
        ("v1", b"<html>"),
        ("v1", b"[1]"),
        ("v1", b'{"outputs": []}'),
        ("v1", b'{"predictions": null}'),
        ("v1", b'{"predictions": [null]}'),
        ("v1", b'{"predictions": {"label": 1}}'),
        ("v1", b'{"predictions": []}'),
        ("v2", b'{"outputs": []}'),
        ("v2", b'{"outputs": [{"name": "output-0", "datatype": "INT64", "data": []}]}'),
        ("v2", b'{"outputs": [{"name": "output-0", "datatype": "INT64", "data": [null]}]}'),
        ("v2", b'{"predictions": [1]}'),
    ],
)
def test_what_holds_no_value_for_the_row_is_no_answer(spoken: Any, answer: bytes) -> None:
    row = Tensor(name="X", dtype="FP32", shape=(-1, 4))
    with pytest.raises((ValueError, KeyError)):
        KServeJson(protocol=spoken, input=row, output="label").read(answer)


# In a process of its own: KServe's SDK and tritonclient define the same messages.
SENT = """
import json, pickle, sys
from pathlib import Path
from tidegate.sandbox.kserve_server import LOADERS, Served

path, rows = Path(sys.argv[1]), json.loads(sys.argv[2])
model = Served("digits", *LOADERS["sklearn"](path, 1))
print(json.dumps(pickle.loads(pickle.dumps(model)).predict({"instances": rows})))
"""


def test_a_model_is_sent_to_each_of_its_servers_workers(digits: Any, tmp_path: Path) -> None:
    path, rows = tmp_path / "model.pkl", digits.rows[:9]
    path.write_bytes(pickle.dumps(digits.model))
    told = subprocess.run(
        [sys.executable, "-c", SENT, str(path), json.dumps(rows.tolist())],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert json.loads(told.stdout)["predictions"] == digits.model.predict(rows).tolist()


class Running:
    """A real server of KServe's on a folder, as the sandbox starts it."""

    def __init__(self, runtime: TritonRuntime, release: Any) -> None:
        self.document = ModelRepository.model_validate_json(
            release.path("repository_document").read_text()
        )
        self.policy = Policy.model_validate(release.policy)
        made = predictor(self.policy, "s3://b/p/", "7").as_dict()["model"]
        assert {e["name"]: e["value"] for e in made["env"]}["CE_SOURCE"] == source_of("digits", "7")
        runtime.start(
            revision(
                "digits-predictor-00001",
                release.path("repository"),
                format="sklearn",
                args=tuple(made["args"]),
                env={e["name"]: e["value"] for e in made["env"]},
            )
        )
        self.runtime = runtime
        eventually(self.is_ready, timeout_s=START_S, what=self.said)
        found = runtime.endpoint(NAMESPACE, "digits-predictor-00001")
        assert found is not None
        self.url = f"http://127.0.0.1:{found.http}"

    def is_ready(self) -> bool:
        return self.runtime.status(NAMESPACE, "digits-predictor-00001").phase == "Ready"

    def said(self) -> str:
        return self.runtime.status(NAMESPACE, "digits-predictor-00001").message


@pytest.fixture
def running(release: Any, digits: Any, tmp_path: Path) -> Iterator[Running]:
    kept(release, digits)
    with TritonRuntime(tmp_path / "kubelet", drain_s=0.0) as runtime:
        yield Running(runtime, release)


@pytest.mark.real
@pytest.mark.timeout(150)
def test_the_real_server_answers_as_scikit_learn_in_both_protocols_and_tells_its_version(
    running: Running, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pod,) = running.runtime.pods()
    listening = [one for one in psutil.Process(pod.pid).connections() if one.status == "LISTEN"]
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}
    rows, tensor = digits.rows[:40], running.document.inputs[0]
    wanted = digits.model.predict(rows)
    golden = serving.Golden(inputs={"X": rows}, outputs={"label": wanted})
    with httpx.Client(base_url=running.url, timeout=20) as client:
        for spoken in ("v1", "v2"):
            document = running.document.model_copy(update={"protocol": spoken})
            dialect = lanes.dialect_of(document)
            assert dialect is not None
            requests = dialect.requests(serving.golden_rows(golden, [tensor]))
            replies = [
                client.post(dialect.path("digits"), content=one.body, headers=JSON)
                for one in requests
            ]
            found = [dialect.read(one.raise_for_status().content) for one in replies]
            assert [int(one.outputs["label"][0]) for one in found] == wanted.tolist(), spoken
            ready, asked = served_event.questions(client, probe_of(document, running.policy), 2)
            assert ready().status_code == 200
            assert [served_event.version(one(), "here", "digits") for one in asked] == ["7", "7"]
    monkeypatch.setattr(served_model, "CONVERGE_S", 0.1)
    assert after_a_load(running, candidate="7", incumbent="7") == {}
    assert after_a_load(running, candidate="8", incumbent="7") == {"candidate version": "INVALID"}
    assert after_a_load(running, candidate="7", incumbent="6") == {"baseline version": "INVALID"}


def after_a_load(running: Running, *, candidate: str, incumbent: str) -> dict[str, str]:
    """Of a load test that was to judge these two, and whose hosts both led to this server."""
    repository = running.document.model_copy(update={"model_version": candidate})
    host, made = running.url.removeprefix("http://"), deployment()
    assert made.incumbent
    before = probe_of(repository, running.policy, version=incumbent)
    hosts = {"candidate_host": host, "incumbent_host": host}
    deployed = made.model_copy(
        update=hosts
        | {
            "repository": repository,
            "incumbent": made.incumbent.model_copy(update={"probe": before}),
        }
    )
    found = version_findings(deployed, running.policy, compared=True)
    return {one.name: one.word.value for one in found}
