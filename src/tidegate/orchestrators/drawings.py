"""The committed drawings, with other images, another bucket, a claim. Neither kfp nor hera is needed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tidegate.errors import UsageError
from tidegate.orchestrators.buckets import S3, with_bucket
from tidegate.orchestrators.claims import with_claim
from tidegate.orchestrators.surroundings import images

DRAWINGS: Mapping[str, tuple[str, ...]] = {
    "kfp": ("pipelines/release.yaml", "pipelines/scheduled_release.yaml"),
    "argo": (
        "workflows/release.yaml",
        "workflows/release-cluster.yaml",
        "workflows/release-on-claim.yaml",
        "workflows/scheduled-release.yaml",
        "workflows/cron.yaml",
        "workflows/submit.yaml",
    ),
}


def drawing(path: str) -> Path:
    """A committed drawing: inside the installed package, or in the source tree."""
    packaged = Path(__file__).with_name("drawings") / path
    source = Path(__file__).parents[3] / path
    return packaged if packaged.is_file() else source


def with_images(path: str, chosen: Mapping[str, str]) -> str:
    """The drawing's text, each kind of image that is chosen in the place of ours. Raises UsageError."""
    ours, text = images(), drawing(path).read_text(encoding="utf-8")
    for kind, image in chosen.items():
        if kind not in ours:
            raise UsageError(f"no step runs in an image {kind!r}; choose of {', '.join(ours)}")
        if not image or image != image.strip() or any(c in image for c in "'\"{}\n"):
            raise UsageError(f"image {kind} = {image!r} is no image reference")
        text = text.replace(ours[kind], image)
    return text


def written(
    orchestrator: str,
    folder: Path,
    chosen: Mapping[str, str],
    s3: S3 | None = None,
    storage_claim: str = "",
) -> Iterator[Path]:
    """Write every drawing for an orchestrator into a folder; the paths. All texts first, then files.

    `s3` is where Argo keeps artifacts, `storage_claim` where published models lie. Raises UsageError, also
    for a bucket where Kubeflow chooses its own (its pipeline root).
    """
    from tidegate.adapters.files import write_text

    if s3 and orchestrator == "kfp":
        raise UsageError("--bucket is Argo's; in Kubeflow the pipeline root of the run says where")
    texts = {path: with_images(path, chosen) for path in DRAWINGS[orchestrator]}
    texts = {path: with_bucket(text, s3) for path, text in texts.items()} if s3 else texts
    if storage_claim:
        texts = {path: with_claim(text, storage_claim) for path, text in texts.items()}
    for path, text in texts.items():
        target = folder / Path(path).name
        write_text(target, text)
        yield target
