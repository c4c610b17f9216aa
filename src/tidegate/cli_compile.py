"""The command line of `compile`: the drawings for a cluster, with a user's own images in them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tidegate.errors import UsageError

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
) -> None:
    """Write the release's drawings, the scheduled one too, with your images as their defaults."""
    from tidegate.orchestrators.drawings import written

    for path in written(orchestrator, output, dict(_pair(one) for one in image or ())):
        typer.echo(path)


def _pair(given: str) -> tuple[str, str]:
    kind, equals, reference = given.partition("=")
    if not equals:
        raise UsageError(
            f"--image {given!r}: write kind=reference, e.g. steps=registry/steps@sha256:…"
        )
    return kind, reference
