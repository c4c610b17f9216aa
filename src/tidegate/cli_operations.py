"""The command line of the verbs that people use on a release, apart from the steps of its run.

stdout carries what was asked for; progress and errors go to stderr.
"""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from tidegate.core.journal import Journal
from tidegate.documents import Result, Word
from tidegate.errors import NotPromotedError
from tidegate.steps.progress import say

operations_app = typer.Typer(rich_markup_mode=None)

PANEL = "Operating a release"
Everywhere = Annotated[str, typer.Option(help="Where to look; '' = every namespace.")]
Release = Annotated[str, typer.Argument(help="An InferenceService or a release id.")]
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


@operations_app.command(rich_help_panel=PANEL)
def plan(
    policy: Annotated[
        str, typer.Argument(help="The policy: a file, or a reference (see resolve).")
    ],
    model_uri: Annotated[str, typer.Option(help="Overrides the policy's model.uri.")] = "",
    namespace: Annotated[str, typer.Option(help="Overrides the policy's namespace.")] = "",
    storage_uri: Annotated[
        str, typer.Option(help="Where the candidate is published, if it already is.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show every act that a release would do to the cluster as it is, and touch nothing.

    The manifest diff is the API's own answer to a dry-run. Exit 7 when the release would be refused.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.operations.plan import planned
    from tidegate.operations.plan_lines import lines
    from tidegate.steps.resolve import resolved

    effective, candidate = resolved(policy, model_uri, namespace)
    with connect(say=_say) as kube:
        made = planned(kube, effective, candidate.subject, storage_uri=storage_uri)
    typer.echo(made.model_dump_json(indent=2) if as_json else "\n".join(lines(made)))
    if made.refused not in {None, Word.UNCHANGED}:
        raise NotPromotedError(f"the release would be refused: {made.refusal}")


@operations_app.command(rich_help_panel=PANEL)
def render(
    policy: Annotated[Path, typer.Argument(help="A policy file.")],
    mode: Annotated[
        Literal["", "Knative", "Standard"], typer.Option(help="For a policy that says auto.")
    ] = "",
    storage_uri: Annotated[
        str, typer.Option(help="Where the candidate is published, if it already is.")
    ] = "",
    percent: Annotated[
        int | None,
        typer.Option(
            min=0, max=100, help="As the service stands with this share on the candidate."
        ),
    ] = None,
) -> None:
    """Print every object that the policy leads to, in order, as YAML for kubectl; needs no cluster."""
    from tidegate.adapters.files import read_policy
    from tidegate.config import settings
    from tidegate.operations.rendering import STORAGE, text_of

    read, parent = read_policy(policy), settings().storage_uri or STORAGE
    text = text_of(read, mode=mode, storage_uri=storage_uri, percent=percent, parent=parent)
    typer.echo(text, nl=False)


@operations_app.command(rich_help_panel=PANEL)
def abort(
    name: Release,
    namespace: Everywhere = "",
    reason: Annotated[str, typer.Option(help="Why, for the journal and whoever reads it.")] = "",
) -> None:
    """End a running release from outside: its run stops, production goes back to what served before.

    An act that is under way is waited for. A release that has ended is left as it is; exit 4 when it was
    promoted, 6 when the traffic could not be returned.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.operations.abort import aborted
    from tidegate.operations.finding import found, operator
    from tidegate.steps.stopping import finishing_acts

    with connect(say=_say) as kube, finishing_acts():
        ended = aborted(kube, found(kube, name, namespace), who=operator(), reason=reason)
    _tell(ended)


@operations_app.command(rich_help_panel=PANEL)
def approve(
    name: Release,
    namespace: Everywhere = "",
    reason: Annotated[str, typer.Option(help="Why, for the journal and the report.")] = "",
) -> None:
    """Let a release that waits for approval go on, if its gate says PASS.

    Only with traffic.approval: manual in its policy, and while it is STAGED; otherwise exit 4.
    """
    _decide("approve", name, namespace, reason)


@operations_app.command(rich_help_panel=PANEL)
def reject_approval(
    name: Release,
    namespace: Everywhere = "",
    reason: Annotated[str, typer.Option(help="Why, for the journal and the report.")] = "",
) -> None:
    """Stop a release that waits for approval: it is rolled back and ends as not promoted."""
    _decide("reject", name, namespace, reason)


def _decide(decision: Literal["approve", "reject"], name: str, namespace: str, reason: str) -> None:
    from tidegate.adapters.kubernetes import connect
    from tidegate.operations.approval import decided
    from tidegate.operations.finding import found, operator

    with connect(say=_say) as kube:
        stored = found(kube, name, namespace)
        journal = decided(kube, stored, decision, who=operator(), reason=reason)
    typer.echo(f"release {journal.release_id} of {journal.subject}: {decision}", err=True)
    typer.echo(decision)


@operations_app.command(rich_help_panel=PANEL)
def resume(name: Release, namespace: Everywhere = "") -> None:
    """Finish what a dead run left: a promotion goes on from its last confirmed step, a return is finished, a
    roll-back to an earlier version goes on from where it was staged.

    A run that still lives is stopped by this. A release that has ended is told, and its alias moved if its
    run died before that; one that is still being staged or judged, or is past its deadline, is refused (exit
    4). Exit 7 when it was not promoted.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.core.journal import Phase
    from tidegate.core.takeover import is_fast_staging
    from tidegate.operations.finding import found, operator
    from tidegate.operations.resume import resumed
    from tidegate.steps.live_gate import judge_step
    from tidegate.steps.promote import mlflow_aliases
    from tidegate.steps.restart_watch import RestartWatch
    from tidegate.steps.stopping import finishing_acts

    with connect(say=_say) as kube, finishing_acts():
        stored = found(kube, name, namespace)
        judge = partial(judge_step, pods=RestartWatch(kube))
        ended = resumed(kube, stored, who=operator(), judge=judge, aliases=mlflow_aliases())
    _tell(ended)
    forward = stored.journal.phase is Phase.PROMOTING or is_fast_staging(stored.journal)
    if forward and ended.outcome is not Result.PROMOTED:
        raise NotPromotedError(f"release {ended.release_id} was not promoted: {ended.reason}")


@operations_app.command(rich_help_panel=PANEL)
def rollback(
    name: Release,
    to: Annotated[
        str,
        typer.Option(help="A version or revision that was promoted before, or `previous`."),
    ],
    namespace: Everywhere = "",
    alias: Annotated[
        str | None,
        typer.Option(help="Registry alias to move; '' = none. Left out: the last policy's."),
    ] = None,
    abort: Annotated[bool, typer.Option("--abort", help="End a running release first.")] = False,
) -> None:
    """Go back to a version that was promoted before: warm at 0 %, proven, then all at once. No gates.

    It is a release of its own, and can itself be aborted, resumed or rolled back. Refused while another
    release runs (exit 4) and for a version that was never promoted (2); exit 7 when it does not come up,
    and production then is as it was. To undo a release that has not ended, use abort.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.operations.finding import found, operator
    from tidegate.operations.rollback import rolled_back
    from tidegate.steps.promote import mlflow_aliases
    from tidegate.steps.stopping import finishing_acts

    with connect(say=_say) as kube, finishing_acts():
        ended = rolled_back(
            kube, found(kube, name, namespace), to, who=operator(), aliases=mlflow_aliases(),
            alias=alias, abort_first=abort,
        )  # fmt: skip
    _tell(ended)
    if ended.outcome not in {Result.PROMOTED, Result.UNCHANGED}:
        raise NotPromotedError(f"not rolled back to {to}: {ended.reason}")


def _tell(ended: Journal) -> None:
    """The outcome word on stdout, the rest for people."""
    typer.echo(f"release {ended.release_id} of {ended.subject}: {ended.reason}", err=True)
    typer.echo(ended.outcome or ended.phase)
