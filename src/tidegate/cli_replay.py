"""`gate --replay`: the gate's own command, with an option that stands in place of all the others."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.errors import UsageError

REPLAY = inspect.Parameter(
    "replay",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            help="Evidence of a gate or a promotion: judge it again, offline, and nothing else."
        ),
    ],
)


def replayable(command: Callable[..., None]) -> Callable[..., None]:
    """The command, its options no longer required when --replay is given."""
    given = inspect.signature(command).parameters.values()
    required = [p.name for p in given if p.default is inspect.Parameter.empty]

    def run(replay: Path | None = None, **arguments: Any) -> None:
        if replay is not None:
            _replay(replay, arguments["verdict_document"])
            return
        for name in required:
            if arguments[name] is None:
                raise UsageError(f"--{name.replace('_', '-')} is missing; give it, or --replay")
        command(**arguments)

    options = [p.replace(default=None) if p.name in required else p for p in given]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([REPLAY, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (REPLAY, *options)}
    return run


def _replay(path: Path, verdict_document: Path | None) -> None:
    from tidegate.adapters.files import write
    from tidegate.core.replay import taken_as_said
    from tidegate.operations.replay import replayed, verdict_of

    evidence, judged = replayed(path)
    taken = taken_as_said(evidence)
    for finding in (finding for one in judged for finding in one.findings):
        how = " (as recorded: that gate is not asked again)" if finding.name in taken else ""
        sys.stderr.write(f"{finding.word}: {finding.message}{how}\n")
    if not judged:
        typer.echo("no look at live traffic has decided anything", err=True)
        return
    if verdict_document is not None:
        write(verdict_document, verdict_of(evidence, judged[-1]))
    typer.echo(judged[-1].word.value)
