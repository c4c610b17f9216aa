"""The command line of `compile`: the drawings for a cluster, with a user's own images and bucket."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tidegate.errors import UsageError
from tidegate.orchestrators.surroundings import NAME

compile_app = typer.Typer(rich_markup_mode=None)


@compile_app.command("compile")
def compile_drawings(
    orchestrator: Annotated[Literal["kfp", "argo"], typer.Argument(help="Whose drawings.")],
    output: Annotated[Path, typer.Option(help="Folder for them.")] = Path(),
    image: Annotated[
        list[str] | None,
        typer.Option(
            help="kind=reference, best by digest; may be repeated. Kinds: steps, loadtest."
        ),
    ] = None,
    bucket: Annotated[
        str, typer.Option(help="Argo: for artifacts and logs; '' = the cluster's own repository.")
    ] = "",
    endpoint: Annotated[str, typer.Option(help="Its S3 endpoint: host or host:port.")] = "",
    region: Annotated[str, typer.Option(help="Its region.")] = "",
    secret: Annotated[
        str,
        typer.Option(
            help="Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; '' = the pod's identity."
        ),
    ] = NAME,
    insecure: Annotated[bool, typer.Option("--insecure", help="Plain HTTP.")] = False,
    storage_claim: Annotated[
        str,
        typer.Option(help="CLAIM of a storage pvc://CLAIM/PATH, mounted for publish and report."),
    ] = "",
) -> None:
    """Write the release's drawings, the scheduled one too, with your images as their defaults."""
    from tidegate.orchestrators.buckets import S3
    from tidegate.orchestrators.drawings import written

    if (endpoint or region or insecure) and not bucket:
        raise UsageError("--endpoint, --region and --insecure are about a --bucket; name it")
    s3 = (
        S3(bucket=bucket, endpoint=endpoint, region=region, secret=secret, insecure=insecure)
        if bucket
        else None
    )
    chosen = dict(_pair(one) for one in image or ())
    for path in written(orchestrator, output, chosen, s3, storage_claim):
        typer.echo(path)


def _pair(given: str) -> tuple[str, str]:
    kind, equals, reference = given.partition("=")
    if not equals:
        raise UsageError(
            f"--image {given!r}: write kind=reference, e.g. steps=registry/steps@sha256:…"
        )
    return kind, reference
