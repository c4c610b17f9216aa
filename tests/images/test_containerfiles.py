"""What the Containerfile promises: a base by digest that somebody names, no root, no kfp, one TensorRT."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.core.lint import triton_version
from tidegate.orchestrators.surroundings import USES
from tidegate.policy import Policy
from tidegate.steps.registry import steps

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + "0" * 64
TRITON: dict[str, str] = yaml.safe_load((ROOT / "deploy" / "triton.yaml").read_text())


CONTAINERFILE = (ROOT / "images" / "Containerfile").read_text(encoding="utf-8")


def pinned(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE))


def loaded(path: str) -> Any:
    """A script that is no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


NAMES = sorted(loaded("scripts/images.py").KINDS)


def test_every_image_that_a_step_names_has_a_target_and_a_pinned_set() -> None:
    own = {"trainer"}  # whose image is the user's own
    known = {USES.get(step.image, step.image) for step in steps().values()}
    assert known - own <= set(NAMES)
    targets = re.findall(r"^FROM \S+ AS (\w+)$", CONTAINERFILE, re.MULTILINE)
    for name in NAMES:
        assert loaded("scripts/images.py").KINDS[name].target in targets
        assert pinned(name)


@pytest.mark.parametrize("name", NAMES)
def test_kfp_and_hera_are_in_no_image(name: str) -> None:
    unwanted = {found for found in pinned(name) if found.startswith(("kfp", "hera"))}
    assert not unwanted
    assert "mlflow" not in pinned(name), "the skinny client is enough; the server is not"


@pytest.mark.parametrize("name", [*NAMES, "image-tools"])
def test_every_pinned_package_has_its_hashes_and_no_index_is_named(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE):
        assert "--hash=sha256:" in entry or not entry.strip()
    assert "://" not in text


def test_the_base_is_an_argument_without_default_and_no_digest_is_invented() -> None:
    bases = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)
    assert bases == ["${BASE}", "${BASE}", "image"]
    assert re.search(r"^ARG BASE$", CONTAINERFILE, re.MULTILINE)
    assert not re.search(r"sha256:[0-9a-f]{8}", CONTAINERFILE)


def test_an_image_runs_as_nobody_and_says_where_it_comes_from() -> None:
    users = re.findall(r"^USER (\d+):(\d+)$", CONTAINERFILE, re.MULTILINE)
    assert users == [("65532", "65532")]
    for label in ("title", "version", "revision", "created", "licenses", "base.name"):
        assert f"org.opencontainers.image.{label}=" in CONTAINERFILE


# -- the build


def images(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "scripts" / "images.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no base is given; say BASE=<name>@sha256:"),
        (["--base", "python:3.11-slim"], "BASE is 'python:3.11-slim'; name a base by digest"),
        (["--base", "python@sha256:12"], "name a base by digest"),
        (["--base", f"x@{DIGEST}", "--image", "cuda"], "IMAGE is 'cuda'; choose one of steps"),
        (["--base", f"x@{DIGEST}", "--tool", "kaniko"], "TOOL is 'kaniko'; choose one of docker"),
        (["--base", f"x@{DIGEST}", "--image", "tensorrt"], "TRITON_BASE is ''; name a base by"),
        (
            ["--triton-base", f"nvcr.io/nvidia/tritonserver:23.05-py3@{DIGEST}"],
            f"is not Triton {TRITON['release']}, which serves",
        ),
    ],
)
def test_a_build_that_could_not_be_repeated_is_refused_in_one_line(
    arguments: list[str], message: str
) -> None:
    done = images(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tool", ["docker", "podman", "buildah"])
def test_each_tool_gets_every_argument_of_the_file_and_builds_without_network(
    tool: str, name: str
) -> None:
    script = loaded("scripts/images.py")
    image = script.Image(name=name, base=f"x@{DIGEST}")
    words = script.command(tool, image, Path("context"), f"r/{name}:1")
    assert words[:2] == [tool, "build"]
    assert f"BASE=x@{DIGEST}" in words
    given = {one.partition("=")[0] for one in words if "=" in one and not one.startswith("--")}
    assert given == set(re.findall(r"^ARG (\w+)$", CONTAINERFILE, re.MULTILINE))
    assert words[words.index("--target") + 1] == ("tensorrt" if name == "tensorrt" else "image")
    assert words[-1] == "context"
    assert tool == "buildah" or "--network=none" in words


# -- TensorRT


def test_serving_bindings_and_image_speak_of_one_tensorrt() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["tensorrt"]
    assert f"tensorrt-cu12-bindings=={TRITON['tensorrt']}; sys_platform == 'linux'" in extra
    assert "tensorrt-cu12-bindings" in pinned("tensorrt")


def test_the_server_that_is_pinned_reads_what_a_default_policy_is_linted_for() -> None:
    default = Policy.model_validate({"name": "a", "model": {"uri": "models:/a/1"}}).triton.version
    assert triton_version(default) <= triton_version(TRITON["version"])


@pytest.mark.parametrize(
    ("python", "native", "base", "message"),
    [
        ("10.7.0", "10.7.0", "24.12", ""),
        ("10.7.0.post1", "10.7.0", "24.12", ""),
        (
            "10.7.0",
            "10.5.0",
            "24.12",
            "bindings are 10.7.0, libnvinfer is 10.5.0; pin the bindings",
        ),
        ("10.7.0", "8.6.1", "24.12", "libnvinfer is 8.6.1"),
        ("10.7.0", "", "24.12", "no libnvinfer in this base"),
        ("", "10.7.0", "24.12", "no TensorRT bindings"),
        ("10.7.0", "10.7.0", "24.10", "this base is Triton 24.10, deploy/triton.yaml serves 24.12"),
        ("10.7.0", "10.7.0", "", "this base is Triton of no stated release"),
    ],
)
def test_two_versions_of_tensorrt_or_of_triton_are_refused(
    python: str, native: str, base: str, message: str
) -> None:
    check = loaded("images/same_versions.py")
    said = check.complaint(python, native, release="24.12", base=base)
    assert message in said
    assert bool(message) == bool(said)


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler for a libnvinfer of its own")
@pytest.mark.parametrize(("number", "code"), [(100700, 0), (100500, 1)])
def test_the_check_of_the_build_asks_the_library_itself(
    tmp_path: Path, number: int, code: int
) -> None:
    """A real shared object that answers getInferLibVersion, and a real installed distribution."""
    source = tmp_path / "nvinfer.c"
    source.write_text(f"int getInferLibVersion(void) {{ return {number}; }}\n")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(tmp_path / "libnvinfer.so.10"), str(source)],
        check=True,
    )
    metadata = tmp_path / "tensorrt_cu12_bindings-10.7.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: tensorrt-cu12-bindings\nVersion: 10.7.0\n")
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path),
        "RELEASE": "24.12", "NVIDIA_TRITON_SERVER_VERSION": "24.12",
    }  # fmt: skip
    script = ROOT / "images" / "same_versions.py"
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert ("libnvinfer is 10.5.0" in done.stderr) == bool(code)


@pytest.mark.parametrize(
    ("number", "text"), [(100700, "10.7.0"), (101303, "10.13.3"), (8601, "8.6.1")]
)
def test_libnvinfers_number_is_read_as_its_header_writes_it(number: int, text: str) -> None:
    assert loaded("images/same_versions.py").spelled(number) == text
