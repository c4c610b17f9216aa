"""PyTorch compiled by AOTInductor: real Triton answers as PyTorch does, and what cannot be is one line."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.routes.conftest import Routed
from tests.routes.data import FEATURES, rows
from tests.routes.test_pytorch import network, own_answers
from tidegate.adapters import tritonserver
from tidegate.adapters.aoti import archive, compiling, machine
from tidegate.adapters.model_config_text import from_text
from tidegate.adapters.reloading import reloading
from tidegate.core.model_config.resizing import resized, setting_of
from tidegate.documents import Setting
from tidegate.errors import RejectedError, UsageError
from tidegate.policy import Aoti
from tidegate.sandbox import binaries

torch = pytest.importorskip("torch")
Module: Any = torch.nn.Module
pytestmark = [
    pytest.mark.real, pytest.mark.long, pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),
]  # fmt: skip
ASK = rows(100, seed=3)
OTHER = rows(100, seed=4)
SERVER = {"version": "2.69", "torch": torch.__version__}
TRITON = shlex.join([sys.executable, "-m", "tidegate.sandbox.tritonserver"])


class Beside(Module):  # type: ignore[misc]
    """Two inputs; two results, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.left = torch.nn.Linear(FEATURES, 8)
        self.right = torch.nn.Linear(FEATURES, 8)

    def forward(self, left: Any, right: Any) -> dict[str, Any]:
        both = torch.relu(self.left(left)) + torch.relu(self.right(right))
        return {"scores": torch.softmax(both, dim=1), "best": both.argmax(dim=1)}


class Branching(Module):  # type: ignore[misc]
    """What it does depends on the numbers that it is given."""

    def forward(self, input: Any) -> Any:  # noqa: A002 - as golden data call it
        return input * 2 if input.sum() > 0 else input


def logged(routed: Routed, module: Any, *, pickled: bool = False) -> None:
    import mlflow.pytorch

    given: dict[str, Any] = {"input_example": ASK[:2]}
    if pickled:
        given = {"serialization_format": "pickle"}
    routed.log(mlflow.pytorch.log_model, module, {"input": ASK}, **given)
    routed.release.policy["optimize"] = {"target": "aoti"}
    routed.release.policy["triton"] = dict(SERVER)


def test_an_exported_program_is_compiled_once_and_answers_any_number_of_rows(
    routed: Routed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_AOTI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", TRITON)
    module = network()
    logged(routed, module)
    routed.serves(
        "pytorch", "aoti", {"INPUT__0": ASK}, {"OUTPUT__0": own_answers(module)},
        "linear layers, exported",
    )  # fmt: skip
    text = (routed.release.path("repository") / "digits" / "config.pbtxt").read_text()
    config = from_text(text, what="config.pbtxt")
    assert (config.backend, config.platform) == ("pytorch", "torch_aoti")
    assert (config.max_batch_size, config.input[0].dims) == (0, (-1, FEATURES))

    document = routed.release.document("repository_document")
    told = {f["name"]: f["message"] for f in document["findings"] if f["word"] != "PASS"}
    assert told["configure"].startswith("Triton batches no AOTInductor packages yet")
    (tried,) = (f for f in document["findings"] if f["name"] == "load and query")
    assert tried["word"] == "PASS"
    assert "100 golden rows answered as by the PyTorch model" in tried["message"]

    first = routed.release.document("optimized")
    assert (first["package"]["torch"], first["package"]["cpu"]) == (torch.__version__, "avx2")
    assert first["package"]["vectors"] == "avx2"
    sizes = [c["output"] for c in first["parity"]["checks"] if c["output"].startswith("batches")]
    assert sizes == ["batches of 1", "batches of 16", "batches of 32", "batches of 33"]
    assert routed.release.run("optimize")["verdict"] == "PASS"
    again = routed.release.document("optimized")
    assert again["package"] == first["package"] | {"reused": True}
    assert again["tree_digest"] == first["tree_digest"]


def test_a_pickled_module_of_two_inputs_and_two_results(routed: Routed) -> None:
    import mlflow.pytorch

    torch.manual_seed(0)
    module = Beside().eval()
    with torch.no_grad():
        own = module(torch.from_numpy(ASK), torch.from_numpy(OTHER))
    routed.log(
        mlflow.pytorch.log_model, module, {"left": ASK, "right": OTHER},
        serialization_format="pickle",
    )  # fmt: skip
    routed.serves(
        "pytorch", "aoti", {"INPUT__0": ASK, "INPUT__1": OTHER},
        {"OUTPUT__0": own["scores"].numpy(), "OUTPUT__1": own["best"].numpy()},
        "two inputs, two results, pickled",
        policy={"model": {"allow_pickle": True}, "triton": SERVER},
    )  # fmt: skip


def test_what_torch_export_cannot_trace_is_named(routed: Routed) -> None:
    logged(routed, Branching(), pickled=True)
    told = (
        r"cannot be exported by torch\.export with a free batch: .+; write optimize\.target: native"
    )
    with pytest.raises(RejectedError, match=told) as caught:
        routed.steps(model={"allow_pickle": True})
    assert "\n" not in str(caught.value)


def test_another_torch_no_compiler_and_no_gpu_are_refused_before_anything_is_loaded(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(routed, network())
    with pytest.raises(RejectedError, match=r"of torch 2\..*, the serving image has 2\.6\.0; run"):
        routed.steps(triton={"torch": "2.6.0"})
    with pytest.raises(RejectedError, match=r"aoti\.device is cuda, and torch sees no GPU here"):
        routed.steps(triton=SERVER, optimize={"aoti": {"device": "cuda"}})
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UsageError, match=r"C\+\+ compiler, and no-such-compiler is no command"):
        routed.steps(optimize={"aoti": {}})


def test_torchscript_is_no_program(routed: Routed) -> None:
    logged(routed, torch.jit.trace(network(), torch.from_numpy(ASK[:2])), pickled=True)
    with pytest.raises(RejectedError, match=r"is TorchScript, which torch\.export does not take"):
        routed.steps(model={"allow_pickle": True})


NESTED = 'input {{ name: "{}" data_type: TYPE_FP32 dims: [-1, 2] }} '
RESULT = 'output {{ name: "{}" data_type: TYPE_FP32 dims: [-1, 2] }} '
# Names of the three inputs and the three outputs, and what the server says.
NAMES = {
    "specified": (
        ("ARGS[0]", "ARGS[1][a]", "ARGS[1][b]"), ("RESULT[sum]", "RESULT[rest][0]", "RESULT[rest][1]"), "",
    ),
    "numbered": (("INPUT__2", "INPUT__0", "INPUT__1"), ("OUTPUT__1", "OUTPUT__0", "OUTPUT__2"), ""),
    "strange": (("x", "INPUT__1", "INPUT__2"), ("OUTPUT__0",), 'input "x" is not found in the model'),
    "beyond": (("INPUT__0", "INPUT__1", "INPUT__2"), ("OUTPUT__3",), 'output "OUTPUT__3" is not found'),
    "fewer": (("INPUT__0", "INPUT__1"), ("OUTPUT__0",), "has 2 inputs, the model expects 3"),
    "batched": (("INPUT__0", "INPUT__1", "INPUT__2"), ("OUTPUT__0",), "are not batched"),
}  # fmt: skip


class Nested(Module):  # type: ignore[misc]
    """Arguments and results in dicts and tuples."""

    def forward(self, x: Any, pair: dict[str, Any]) -> dict[str, Any]:
        return {"sum": x + pair["a"], "rest": (x - pair["a"], x * pair["b"])}


def program_of_nested() -> Any:
    one = torch.ones(3, 2)
    free = {0: torch.export.Dim("batch")}
    return torch.export.export(
        Nested(), (one, {"a": one + 1, "b": one + 2}),
        dynamic_shapes=(free, {"a": free, "b": free}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of three tensors in and three out."""
    folder = tmp_path_factory.mktemp("nested")
    package, said = compiling.compiled(
        program_of_nested(), folder, Aoti(cpu="native"), what="nested 1"
    )
    assert (package.cpu, said) == ("native", "")
    assert archive.metadata(folder / "model.pt2")[archive.TORCH] == torch.__version__
    return folder / "model.pt2"


def test_a_package_that_torch_compiled_for_other_vectors_than_its_level_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a compiler that has no AVX2, for a machine of more vectors than AVX-512 is not to be had here."""
    lacking = tmp_path / "g++"
    found = shutil.which("g++")
    lacking.write_text(f'#!/bin/sh\ncase "$*" in *-mavx2*) exit 1 ;; esac\nexec {found} "$@"\n')
    lacking.chmod(0o755)
    monkeypatch.setenv("CXX", str(lacking))
    told = r"^nested 1 is compiled for invalid_vec_isa on this machine, and .* says avx2; run"
    with pytest.raises(RejectedError, match=told):
        compiling.compiled(program_of_nested(), tmp_path, Aoti(), what="nested 1")


def placed(package: Path, root: Path, name: str) -> str:
    """A model of that name with its own names of tensors; its config.pbtxt."""
    inputs, outputs, _ = NAMES[name]
    (root / name / "1").mkdir(parents=True)
    shutil.copyfile(package, root / name / "1" / "model.pt2")
    size = 8 if name == "batched" else 0
    text = f'name: "{name}" backend: "pytorch" platform: "torch_aoti" max_batch_size: {size} '
    text += "".join(map(NESTED.format, inputs)) + "".join(map(RESULT.format, outputs))
    (root / name / "config.pbtxt").write_text(text)
    return text


def test_tune_loads_a_package_again_with_other_instances(
    nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", TRITON)
    config = from_text(placed(nested, tmp_path, "numbered"), what="config.pbtxt")
    two = Setting(max_batch_size=0, instances=2, queue_delay_us=0, threads=1)
    with reloading(tmp_path, "numbered") as server:
        assert server.load(resized(config, two)) == ""
        assert setting_of(server.model.config()) == two
        with_batches = two.model_copy(update={"max_batch_size": 4})
        assert "packages of AOTInductor are not batched" in server.load(
            resized(config, with_batches)
        )


def test_a_real_server_that_is_too_old_refuses_a_package_in_its_own_words(
    nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel's own, without the sandbox's copy: what configure and tune ask at a user's hand."""
    text = placed(nested, tmp_path, "numbered")
    libraries = os.pathsep.join(map(str, binaries.triton_libraries()))
    command = ["env", f"LD_LIBRARY_PATH={libraries}", str(binaries.tritonserver())]
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", shlex.join(command))
    refused = "does not load numbered: .*unexpected 'platform' and 'backend' pair, got:torch_aoti"
    with pytest.raises(RejectedError, match=refused), tritonserver.serving(tmp_path, "numbered"):
        pass
    with pytest.raises(RejectedError, match="torch_aoti"), reloading(tmp_path, "numbered"):
        pass
    assert (tmp_path / "numbered" / "config.pbtxt").read_text() == text


def test_the_embedded_backend_finds_tensors_as_triton_26_05_does(
    nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By our reading of its source: agreement with the linter's rules is circular."""
    for name in NAMES:
        placed(nested, tmp_path, name)
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", TRITON)
    with tritonserver.serving(tmp_path, "specified", "numbered") as loaded:
        index = httpx.post(f"{loaded.http}/v2/repository/index", timeout=60).json()
        said = {one["name"]: one.get("reason", "") for one in index}
        for name, (_, _, told) in NAMES.items():
            assert told in said[name]
            assert bool(told) == bool(said[name]), (name, said[name])
        x, a, b = rows(5, seed=1)[:, :2], rows(5, seed=2)[:, :2], rows(5, seed=3)[:, :2]
        found = loaded.answers({"ARGS[0]": x, "ARGS[1][a]": a, "ARGS[1][b]": b}, 5)
        assert found["RESULT[rest][1]"] == pytest.approx(x * b)
        assert found["RESULT[sum]"] == pytest.approx(x + a)
    assert 'platform: "torch_aoti"' in (tmp_path / "numbered" / "config.pbtxt").read_text()


def test_this_machine_is_described_as_its_packages_are() -> None:
    assert machine.cpu().machine == "x86_64"
    assert "sse2" in machine.cpu().flags
    assert "g++" in machine.compiler()
