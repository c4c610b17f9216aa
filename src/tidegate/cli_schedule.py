"""The command line of `submit` and `schedule`: a release in a cluster, now or again and again.

stdout carries the run's name, or created, updated or unchanged; everything for people goes to stderr.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.errors import UsageError

if TYPE_CHECKING:
    from tidegate.orchestrators.kubeflow import Kubeflow

submit_app = typer.Typer(
    name="submit", help="Start a release in a cluster.", no_args_is_help=True, rich_markup_mode=None
)
schedule_app = typer.Typer(
    name="schedule",
    help="Start a release by the clock. The same again updates it; one runs at a time, none is made up for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Package = Annotated[
    Path | None,
    typer.Argument(help="A compiled pipeline; the release that ships with tidegate if left out."),
]
Template = Annotated[str, typer.Argument(help="The WorkflowTemplate.")]
Parameters = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", help="name=value; may be repeated.")
]
Profile = Annotated[str, typer.Option(help="The profile's namespace; '' = a single-user Kubeflow.")]
Namespace = Annotated[str, typer.Option(help="Where the workflows are.")]
Account = Annotated[
    str, typer.Option(help="ServiceAccount of the run; '' = the orchestrator's own.")
]
Cron = Annotated[str, typer.Option(help="Five fields: minute hour day month weekday.")]
Name = Annotated[str, typer.Option(help="The schedule's own name.")]
ClusterScope = Annotated[bool, typer.Option("--cluster-scope", help="A ClusterWorkflowTemplate.")]
TEMPLATE = "tidegate-release"


@submit_app.command("kfp")
def submit_kfp(
    package: Package = None,
    parameter: Parameters = None,
    namespace: Profile = "",
    service_account: Account = "",
) -> None:
    """Start a run in Kubeflow Pipelines (TIDEGATE_KFP_URL, TIDEGATE_KFP_TOKEN); its id on stdout."""
    from tidegate.orchestrators.local_run import compiled_pipeline

    given = _parameters(parameter)
    run = _kubeflow(namespace).submit(
        package or compiled_pipeline(), given, account=service_account
    )
    typer.echo(run)


@submit_app.command("argo")
def submit_argo(
    template: Template = TEMPLATE,
    parameter: Parameters = None,
    namespace: Namespace = "argo",
    service_account: Account = "",
    cluster_scope: ClusterScope = False,
) -> None:
    """Start a Workflow of a WorkflowTemplate through the Kubernetes API; its name on stdout."""
    from tidegate.adapters.argo import Argo
    from tidegate.adapters.kubernetes import connect

    given = _parameters(parameter)
    with connect() as kube:
        argo = Argo(kube, namespace, template, cluster_scope=cluster_scope)
        typer.echo(argo.submit(given, account=service_account))


@schedule_app.command("kfp")
def schedule_kfp(
    cron: Cron,
    name: Name,
    package: Package = None,
    parameter: Parameters = None,
    namespace: Profile = "",
    service_account: Account = "",
) -> None:
    """Create or update a recurring run in Kubeflow Pipelines, whose clock is UTC."""
    from tidegate.adapters import cron as crons
    from tidegate.orchestrators.local_run import compiled_pipeline

    six, given = crons.kubeflow(cron), _parameters(parameter)
    word = _kubeflow(namespace).schedule(
        name, six, package or compiled_pipeline(), given, account=service_account
    )
    _tell(name, cron, "UTC", word)


@schedule_app.command("argo")
def schedule_argo(
    cron: Cron,
    name: Name,
    template: Template = TEMPLATE,
    parameter: Parameters = None,
    namespace: Namespace = "argo",
    timezone: Annotated[str, typer.Option(help="Whose clock, e.g. Europe/Berlin.")] = "UTC",
    service_account: Account = "",
    cluster_scope: ClusterScope = False,
) -> None:
    """Create or update a CronWorkflow of a WorkflowTemplate."""
    from tidegate.adapters import cron as crons
    from tidegate.adapters.argo import Argo
    from tidegate.adapters.kubernetes import connect

    five, given = crons.checked(cron), _parameters(parameter)
    crons.coming(cron, timezone=timezone, now=datetime.now(UTC))
    with connect() as kube:
        argo = Argo(kube, namespace, template, cluster_scope=cluster_scope)
        word = argo.schedule(name, five, given, timezone=timezone, account=service_account)
    _tell(name, cron, timezone, word)


def _kubeflow(namespace: str) -> "Kubeflow":
    from tidegate.config import settings
    from tidegate.orchestrators.kubeflow import Kubeflow

    where = settings()
    return Kubeflow(where.need("kfp_url"), namespace=namespace, token=where.kfp_token)


def _parameters(given: Iterable[str] | None) -> dict[str, str]:
    pairs = [one.partition("=") for one in given or ()]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise UsageError(f"parameter {name!r} has no value; write -p name=value")
    return {name: value for name, _, value in pairs}


def _tell(name: str, cron: str, timezone: str, word: str) -> None:
    from tidegate.adapters import cron as crons

    times = crons.coming(cron, timezone=timezone, now=datetime.now(UTC))
    shown = ", ".join(one.strftime("%a %Y-%m-%d %H:%M %Z") for one in times)
    typer.echo(f"{name}: next {shown}", err=True)
    typer.echo(word)
