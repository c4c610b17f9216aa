"""The CPU images, really built from a local base and really run: read-only, as nobody, a step in each.

`make images-smoke`. Needs buildah, and root for the base that debootstrap makes; TIDEGATE_IMAGE_BASE
(<name>@sha256:...) names another one.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tidegate import __version__

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
RELEASE = yaml.safe_load((ROOT / "deploy" / "triton.yaml").read_text())["release"]
BASE = "localhost/tidegate-base:local"
STORE = {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}  # needs no other privilege
INSIDE = (
    "PYTHONPATH=/opt/tidegate/site", "PATH=/opt/tidegate/site/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE=1", "HOME=/tmp", "MPLCONFIGDIR=/tmp",
)  # fmt: skip


def said(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | STORE)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def local_base(folder: Path) -> str:
    """Debian's Python in an image of its own, by the digest that buildah gave it."""
    if not (shutil.which("debootstrap") and os.geteuid() == 0):
        pytest.skip("no debootstrap, or not root; set TIDEGATE_IMAGE_BASE to an image by digest")
    if not said("buildah", "images", "-q", "--filter", f"reference={BASE}"):
        root = folder / "root"
        said("debootstrap", "--variant=minbase", "--include=python3", "bookworm", str(root))
        container = said("buildah", "from", "scratch")
        said("buildah", "add", "-q", container, str(root), "/")
        said("buildah", "commit", "-q", "--rm", container, BASE)
    digest = said("buildah", "images", "--digests", "--format", "{{.Digest}}", BASE)
    return f"{BASE.removesuffix(':local')}@{digest}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    if not shutil.which("buildah"):
        pytest.skip("no buildah here; apt-get install buildah debootstrap")
    return os.environ.get("TIDEGATE_IMAGE_BASE") or local_base(tmp_path_factory.mktemp("base"))


class Running:
    """A container's file system, mounted; each command runs in it read-only and as nobody."""

    def __init__(self, mount: str, work: Path) -> None:
        self.mount, self.work = mount, work

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        """`/tmp/work` is the one folder that outlives the command."""
        m = self.mount
        script = (
            f"mount --bind {m} {m} && mount -o remount,ro,bind {m} && mount -t tmpfs tmpfs {m}/tmp && "
            f"chmod 1777 {m}/tmp && mkdir {m}/tmp/work && mount --bind {self.work} {m}/tmp/work && "
            f"exec chroot --userspec=65532:65532 {m} /usr/bin/env -i {' '.join(INSIDE)} sh -c '{command}'"
        )
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=120
        )


@pytest.fixture(scope="module", params=["steps", "loadtest"])
def image(
    request: pytest.FixtureRequest, base: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Running]]:
    script = str(ROOT / "scripts" / "images.py")
    tag = said(
        sys.executable, script, "--tool", "buildah", "--base", base, "--image", request.param
    )
    container = said("buildah", "from", tag.splitlines()[-1])
    work = tmp_path_factory.mktemp("work")
    work.chmod(0o777)
    yield request.param, Running(said("buildah", "mount", container), work)
    said("buildah", "rm", container)


def test_the_command_line_answers_read_only_and_as_nobody(image: tuple[str, Running]) -> None:
    _, inside = image
    verbs = "from tidegate.adapters.checkup import recorded_verbs; assert recorded_verbs()"
    done = inside.run(
        f'id -u && tidegate --version && tidegate --help && python3 -c "{verbs}" || exit 1; '
        "touch /etc/x || echo read-only"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["65532", __version__]
    assert "Release a registered MLflow model" in done.stdout
    assert done.stdout.endswith("read-only\n")


def test_the_bill_of_materials_lists_what_is_installed_and_neither_kfp_nor_hera(
    image: tuple[str, Running],
) -> None:
    name, inside = image
    text = Path(inside.mount, "opt/tidegate/sbom.cdx.json").read_text()
    listed = {one["name"].lower() for one in json.loads(text)["components"]}
    assert {"tidegate", "pydantic", "numpy"} <= listed
    assert ("skl2onnx" in listed) == (name == "steps")
    assert not {one for one in listed if one.startswith(("kfp", "hera"))}


def test_a_real_model_is_optimized_configured_and_published_in_the_steps_image(
    image: tuple[str, Running],
) -> None:
    name, inside = image
    if name != "steps":
        pytest.skip("the load generator converts nothing")
    a_release(inside.work)
    ran(
        inside,
        "optimize",
        "fetched",
        "model_tree",
        "policy_document",
        "optimized",
        "optimized_model",
    )
    document = json.loads((inside.work / "optimized").read_text())
    assert document["parity"]["word"] == "PASS"
    assert (inside.work / "optimized_model" / "model.onnx").is_file()
    made = ("repository_document", "repository")
    ran(inside, "configure", "optimized", "optimized_model", "policy_document", *made)
    ran(inside, "publish", *made, "policy_document", "published")
    (model,) = (inside.work / "store").rglob("model.onnx")
    assert model.read_bytes() == (inside.work / "optimized_model" / "model.onnx").read_bytes()


def ran(inside: Running, step: str, *ports: str) -> None:
    """A step of a release whose files are in the folder that outlives it."""
    options = " ".join(f"--{port.replace('_', '-')} /tmp/work/{port}" for port in ports)
    storage = "mkdir -p /tmp/work/store && TIDEGATE_STORAGE_URI=file:///tmp/work/store"
    done = inside.run(f"{storage} tidegate {step} {options}")
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_load_test_says_what_it_lacks_in_the_loadtest_image(image: tuple[str, Running]) -> None:
    """Its modules are all there; without a deployment there is nothing to load."""
    name, inside = image
    if name != "loadtest":
        pytest.skip("the load generator has an image of its own")
    done = inside.run('python3 -c "import tidegate.steps.load_session, grpc, kubernetes, scipy"')
    assert done.returncode == 0, done.stderr
    ports = ("deployment", "optimized_model", "policy_document", "load_report")
    options = " ".join(f"--{port.replace('_', '-')} /tmp/work/{port}" for port in ports)
    done = inside.run(f"tidegate load-test --release-id r {options}")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


ASK = """
import subprocess, sys, time, urllib.error, urllib.request
own = "--http_port=8081 --predictor_host=127.0.0.1:9 --feast_serving_url=f --entity_id_name=e --features=a:b"
program = subprocess.Popen([sys.executable, "examples/transformer/feast_transformer.py", *own.split()])
for _ in range(100):
    time.sleep(0.1)
    try:
        urllib.request.urlopen("http://127.0.0.1:8081/v2/health/ready")
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
        break
    except urllib.error.URLError:
        continue
program.kill()
"""


def test_the_transformer_of_the_examples_is_an_image_that_serves_read_only_and_as_nobody(
    base: str, tmp_path: Path
) -> None:
    folder, tag = ROOT / "examples" / "transformer", "localhost/feast-transformer:test"
    file = ("-f", str(folder / "Containerfile"), "--build-arg", f"BASE={base}")
    said("buildah", "build", *file, "-t", tag, str(folder))
    container = said("buildah", "from", tag)
    (tmp_path / "ask.py").write_text(ASK)
    tmp_path.chmod(0o777)
    inside = Running(said("buildah", "mount", container), tmp_path)
    done = inside.run("cd /srv && id -u && python3 /tmp/work/ask.py")
    told = said(
        "buildah", "inspect", "--format", "{{.OCIv1.Config.User}} {{.OCIv1.Config.Env}}", container
    )
    said("buildah", "rm", container)
    assert done.stdout.splitlines()[0] == "65532", done.stderr
    assert '503 {"error": "the model at 127.0.0.1:9: ' in done.stdout
    assert told.startswith("65532:65532 ")
    assert "LISTEN_ON=0.0.0.0" in told


def triton_base(base: str, folder: Path, number: int) -> str:
    """A stand-in of NGC's: this base, with a libnvinfer that says its version."""
    source = folder / "nvinfer.c"
    source.write_text(f"int getInferLibVersion(void) {{ return {number}; }}\n")
    said("cc", "-shared", "-fPIC", "-o", str(folder / "libnvinfer.so.10"), str(source))
    name = f"localhost/tritonserver:{RELEASE}-{number}"
    container = said("buildah", "from", base)
    said(
        "buildah", "copy", container, str(folder / "libnvinfer.so.10"), "/usr/lib/x86_64-linux-gnu/"
    )
    said("buildah", "config", "--env", f"NVIDIA_TRITON_SERVER_VERSION={RELEASE}", container)
    said("buildah", "commit", "-q", "--rm", container, name)
    return f"{name}@{said('buildah', 'images', '--digests', '--format', '{{.Digest}}', name)}"


@pytest.mark.parametrize(
    ("number", "ends"), [(100700, "ghcr.io/tidegate/tensorrt"), (100500, "libnvinfer is 10.5.0")]
)
def test_the_tensorrt_image_is_built_of_one_tensorrt_only(
    base: str, tmp_path: Path, number: int, ends: str
) -> None:
    script = str(ROOT / "scripts" / "images.py")
    options = ("--tool", "buildah", "--image", "tensorrt", "--python", "3.11")
    done = subprocess.run(
        [sys.executable, script, *options, "--triton-base", triton_base(base, tmp_path, number)],
        capture_output=True, text=True, env=os.environ | STORE,
    )  # fmt: skip
    assert ends in done.stdout + done.stderr, done.stderr[-2000:]
    assert (done.returncode == 0) == (number == 100700)


def a_release(folder: Path) -> None:
    """A fitted scikit-learn model as fetch leaves it, with golden data and the policy."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from skops.io import dump

    from tidegate.adapters import trees
    from tidegate.documents import FetchedModel, Subject

    rows, labels = load_digits(return_X_y=True)
    rows = rows.astype(np.float32)
    tree = folder / "model_tree"
    tree.mkdir()
    dump(LogisticRegression(max_iter=300).fit(rows / 16, labels), tree / "model.skops")
    flavor: dict[str, Any] = {"pickled_model": "model.skops", "serialization_format": "skops"}
    (tree / "MLmodel").write_text(json.dumps({"flavors": {"sklearn": flavor}}))
    np.savez(tree / "golden.npz", **{"input.X": rows[:200]})
    files = trees.files_of(tree)
    fetched = FetchedModel(
        subject=Subject(model="digits", version="1", digest=f"sha256:{'0' * 64}"),
        flavor="sklearn", files=files, tree_digest=trees.digest_of(files),
    )  # fmt: skip
    (folder / "fetched").write_text(fetched.model_dump_json())
    policy = {"name": "digits", "model": {"uri": "models:/digits/1"}}
    (folder / "policy_document").write_text(json.dumps(policy))
