"""The command line of the verbs that look after what releases rely on: the installation and its storage.

stdout carries what was asked for; progress and errors go to stderr.
"""

import json
from functools import partial
from typing import Annotated

import typer

from tidegate.steps.progress import say

upkeep_app = typer.Typer(rich_markup_mode=None)
PANEL = "Between releases"
_say = partial(say, "kubernetes")


@upkeep_app.command(rich_help_panel=PANEL)
def doctor(
    policy: Annotated[
        str, typer.Argument(help="A policy file: its namespace, mode, runtime and accelerators.")
    ] = "",
    namespace: Annotated[str, typer.Option(help="Of the InferenceService.")] = "",
    gpu: Annotated[
        str, typer.Option(help="A kind of accelerator to look for, e.g. nvidia.com/mig-1g.10gb.")
    ] = "",
    step: Annotated[str, typer.Option(help="Permissions of this step alone.")] = "",
    accounts: Annotated[
        bool,
        typer.Option("--accounts", help="Permissions of each step's ServiceAccount, not mine."),
    ] = False,
    runs_in: Annotated[
        str, typer.Option(help="Namespace of the runs' accounts and claim; '' = the service's own.")
    ] = "",
    claim: Annotated[
        str, typer.Option(help="A PersistentVolumeClaim of the runs (release-on-claim.yaml).")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check what a release relies on: the cluster, its settings, permissions, Prometheus, storage, MLflow.

    Each finding says what to do. Exit 5 when something is not as it must be, 75 when something could not
    be asked, 0 otherwise.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.core.checkup import exit_code
    from tidegate.operations.doctor import Wanted, examined, lines, wanted_by

    kinds = {gpu: 1} if gpu else {}
    flags = {
        "namespace": namespace, "accelerators": kinds, "step": step, "accounts": accounts,
        "runs_in": runs_in, "claim": claim,
    }  # fmt: skip
    if policy:
        from tidegate.adapters.policy_source import load

        wanted = wanted_by(load(policy, artifact=lambda *_: ""), **flags)
    else:
        wanted = Wanted(**{key: value for key, value in flags.items() if value})  # type: ignore[arg-type]
    with connect(retry_s=3, say=_say) as kube:
        checks = examined(kube, wanted)
    if as_json:
        typer.echo(json.dumps([check.model_dump(mode="json") for check in checks], indent=2))
    else:
        typer.echo("\n".join(lines(checks)))
    raise typer.Exit(exit_code(checks))


@upkeep_app.command(rich_help_panel=PANEL)
def prune(
    keep: Annotated[int, typer.Option(help="Newest of each service that stay anyway.")] = 5,
    min_age_h: Annotated[
        float, typer.Option(help="Younger ones stay: a release may be about to name them.")
    ] = 24.0,
    remove: Annotated[bool, typer.Option("--remove", help="Do it; without, only say.")] = False,
) -> None:
    """Remove published repositories that nothing in the cluster names and that are not among the newest.

    Looks at TIDEGATE_STORAGE_URI and at every namespace: services, revisions, Deployments, journals and
    histories. A storage that several clusters share is not to be pruned from one of them. stdout: one line
    for each.
    """
    from tidegate.adapters.kubernetes import connect
    from tidegate.config import settings
    from tidegate.operations.prune import judged, lines, removed

    parent = settings().need("storage_uri")
    with connect(say=_say) as kube:
        found = judged(kube, parent, keep=keep, min_age_s=min_age_h * 3600)
        ended = removed(kube, parent, found) if remove else found
        for line in lines(ended, done=remove):
            typer.echo(line)
    if not found:
        typer.echo("nothing is published there")
