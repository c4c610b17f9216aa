"""Builds the images with docker, podman or buildah: wheels here, checked by hash; then without network.

`make images BASE=<name>@sha256:... [TRITON_BASE=<name>@sha256:...] [IMAGE=steps] [TOOL=buildah]`
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tidegate import __version__

ROOT = Path(__file__).parents[1]
DIGEST = re.compile(r"^[\w.:/-]+@sha256:[0-9a-f]{64}$")
TOOLS = {
    "docker": ["docker", "build"],
    "podman": ["podman", "build"],
    "buildah": ["buildah", "build"],
}
ANSWERS = {
    "docker": ["docker", "info"],
    "podman": ["podman", "info"],
    "buildah": ["buildah", "info"],
}
# glibc 2.28 and whatever is older: pip does not know that one includes the other.
GLIBC = ("2_28", "2_27", "2_24", "2_17", "2_12", "2_5")
PLATFORMS = (*(f"manylinux_{one}_x86_64" for one in GLIBC), "manylinux2014_x86_64", "any")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One row: what an image is, which of the user's bases it is FROM, and that base's Python."""

    description: str
    base: str = "BASE"
    target: str = "image"
    python: str = "3.11"  # wheels are chosen for it


KINDS = {
    "steps": Kind(description="Steps of a model release to KServe and Triton"),
    "loadtest": Kind(
        description="The load test of a model release: an open-loop load generator and no more"
    ),
    "tensorrt": Kind(
        description="Builds TensorRT plans for the Triton that serves them",
        base="TRITON_BASE",
        target="tensorrt",
        python="3.12",
    ),
}


class RefusedError(Exception):
    """One line for whoever builds; exit 2."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image to be built: its name, and its base by digest."""

    name: str
    base: str

    @property
    def kind(self) -> Kind:
        """Its row."""
        return KINDS[self.name]


def wanted(which: str, base: str, triton_base: str) -> list[Image]:
    """The images whose base is given; `which` '' = all of them. Raises RefusedError."""
    bases = {"BASE": base, "TRITON_BASE": triton_base}
    if which and which not in KINDS:
        raise RefusedError(f"IMAGE is {which!r}; choose one of {', '.join(KINDS)}")
    if not base and not triton_base:
        raise RefusedError(
            "no base is given; say BASE=<name>@sha256:<digest>, of a Python 3.11 image"
        )
    chosen = [n for n, kind in KINDS.items() if which == n or (not which and bases[kind.base])]
    return [_image(name, bases[KINDS[name].base]) for name in chosen]


def _image(name: str, base: str) -> Image:
    argument = KINDS[name].base
    if not DIGEST.match(base):
        raise RefusedError(
            f"{argument} is {base!r}; name a base by digest, <name>@sha256:<64 hex digits>, so that the same "
            "image is built again (`docker buildx imagetools inspect <name>` shows the digest)"
        )
    if argument == "TRITON_BASE" and f":{release()}-" not in base:
        raise RefusedError(
            f"TRITON_BASE {base} is not Triton {release()}, which serves (deploy/triton.yaml); build FROM "
            f"nvcr.io/nvidia/tritonserver:{release()}-py3@sha256:..., a plan loads nowhere else"
        )
    return Image(name=name, base=base)


def release() -> str:
    """The release of Triton that serves."""
    text = (ROOT / "deploy" / "triton.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["release"])


def tool(named: str) -> str:
    """The container tool asked for, or the first that answers. Raises RefusedError."""
    candidates = [named] if named else ["docker", "podman", "buildah"]
    if named and named not in TOOLS:
        raise RefusedError(f"TOOL is {named!r}; choose one of {', '.join(TOOLS)}")
    for one in candidates:
        if shutil.which(one) and subprocess.run(ANSWERS[one], capture_output=True).returncode == 0:
            return one
    raise RefusedError(
        f"no container tool answers here (tried {', '.join(candidates)}); install one"
    )


def context(image: Image, python: str = "") -> Path:
    """The build context: Containerfile, pinned requirements, and their wheels for the base's Python."""
    folder = ROOT / "build" / "images" / image.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (ROOT / "images").iterdir():
        if path.is_file():
            shutil.copy(path, folder / path.name)
    shutil.copy(ROOT / "requirements" / f"{image.name}.txt", folder / "requirements.txt")
    shutil.copy(ROOT / "requirements" / "image-tools.txt", folder / "tools.txt")
    python = python or image.kind.python
    download(folder / "requirements.txt", folder / "wheels" / "packages", python)
    download(folder / "tools.txt", folder / "wheels" / "tools", python)
    own = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheels" / "own")]
    run([sys.executable, *own])
    return folder


def download(requirements: Path, folder: Path, python: str) -> None:
    """The wheels of a pinned set for a Linux x86-64 Python, each checked against its hash."""
    platforms = [part for one in PLATFORMS for part in ("--platform", one)]
    run(
        [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
         "--require-hashes", "--only-binary=:all:", "--implementation", "cp", *platforms,
         "--python-version", python, "-d", str(folder), "-r", str(requirements)]
    )  # fmt: skip


def command(name: str, image: Image, folder: Path, tag: str) -> list[str]:
    """The whole build command of a tool."""
    arguments = {
        "BASE": image.base,
        "TITLE": f"tidegate {image.name}",
        "DESCRIPTION": image.kind.description,
        "RELEASE": release(),
        "VERSION": __version__,
        **provenance(),
    }
    given = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    # Under chroot isolation buildah shares the host's network and cannot be told otherwise.
    network = [] if name == "buildah" else ["--network=none"]
    return [
        *TOOLS[name],
        *network,
        *given,
        "--target",
        image.kind.target,
        "-t",
        tag,
        "-f",
        str(folder / "Containerfile"),
        str(folder),
    ]


def provenance() -> dict[str, str]:
    """Revision and time of the commit, so that a second build says the same."""
    return {"REVISION": _git("%H"), "CREATED": _git("%cI")}


def _git(form: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", f"--format={form}"], capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def run(words: Iterable[str]) -> None:
    """A command whose failure ends the build, in its own words."""
    done = subprocess.run([*words], cwd=ROOT, stdout=sys.stderr)
    if done.returncode:
        raise RefusedError(f"{' '.join([*words][:4])} ended with {done.returncode}; see above")


def build(options: argparse.Namespace) -> Iterator[str]:
    """Build what is asked for; the tags."""
    images = wanted(options.image, options.base, options.triton_base)
    name = tool(options.tool)
    for image in images:
        tag = f"{options.registry}/{image.name}:{__version__}"
        run(command(name, image, context(image, options.python), tag))
        yield tag


def main(argv: list[str] | None = None) -> int:
    """Print the tag of each image that was built."""
    parser = argparse.ArgumentParser(prog="make images")
    for option in ("base", "triton-base", "image", "tool", "python"):
        parser.add_argument(f"--{option}", default="")
    parser.add_argument("--registry", default="ghcr.io/tidegate")
    try:
        for tag in build(parser.parse_args(argv)):
            print(tag, flush=True)
    except RefusedError as error:
        sys.stderr.write(f"images: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
