"""The command line of the verbs that people use on a release, apart from the steps of its run.

stdout carries what was asked for; progress and errors go to stderr.
"""

import json
from typing import Annotated

import typer

from tidegate.steps.progress import say

operations_app = typer.Typer(rich_markup_mode=None)

PANEL = "Operating a release"
Everywhere = Annotated[str, typer.Option(help="Where to look; '' = every namespace.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def _say(message: str) -> None:
    say("kubernetes", message)


@operations_app.command(rich_help_panel=PANEL)
def status(
    name: Annotated[
        str, typer.Argument(help="An InferenceService or a release id; all when left out.")
    ] = "",
    namespace: Everywhere = "",
    as_json: AsJson = False,
) -> None:
    """Show who owns each release, where it stands, what serves now, and what to type next. Reads only.

    Exit 0 whatever it shows; one line when there is nothing.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.operations.status import lines, statuses

    with connect(say=_say) as kube:
        shown, broken = statuses(kube, name, namespace)
    for problem in broken:
        typer.echo(f"tidegate: {problem}", err=True)
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in shown], indent=2))
    elif not shown:
        typer.echo(f"no release {name!r} is in the cluster" if name else "no release so far")
    else:
        typer.echo("\n".join(line for one in shown for line in lines(one)))
