"""`tidegate sandbox up|down|status`: thin; the work is in `lifecycle`, imported when it is needed."""

from pathlib import Path
from typing import Annotated

import typer

sandbox_app = typer.Typer(
    name="sandbox",
    help="The embedded cluster: real Triton, Envoy, Prometheus and MLflow, emulated Kubernetes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

State = Annotated[
    Path, typer.Option("--state", envvar="TIDEGATE_SANDBOX", help="Folder of the sandbox.")
]
Port = Annotated[int | None, typer.Option(help="Port on 127.0.0.1; a free one when left out.")]
DEFAULT_STATE = Path("~/.tidegate/sandbox")


@sandbox_app.command()
def up(
    state: State = DEFAULT_STATE,
    foreground: Annotated[bool, typer.Option(help="Stay attached; Ctrl-C ends it.")] = False,
    ingress_port: Port = None,
    mlflow_port: Port = None,
    prometheus_port: Port = None,
    kubernetes_port: Port = None,
    era: Annotated[
        str,
        typer.Option(
            help="Names of Knative's metrics: serving_invocation (new), queueproxy_app, revision_app."
        ),
    ] = "serving_invocation",
    mode: Annotated[
        str | None,
        typer.Option(help="KServe's default deployment mode: Knative (if left out) or Standard."),
    ] = None,
) -> None:
    """Start the embedded cluster, or join the one that runs."""
    from tidegate.sandbox import lifecycle

    wanted = {
        "ingress": ingress_port,
        "mlflow": mlflow_port,
        "prometheus": prometheus_port,
        "kubernetes": kubernetes_port,
    }
    lifecycle.up(state, ports=wanted, era=era, mode=mode, foreground=foreground)


@sandbox_app.command()
def down(state: State = DEFAULT_STATE) -> None:
    """End the embedded cluster and verify that nothing of it is left."""
    from tidegate.sandbox import lifecycle

    lifecycle.down(state)


@sandbox_app.command()
def status(
    state: State = DEFAULT_STATE,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every part; the exit code is not 0 when one is dead."""
    from tidegate.sandbox import lifecycle

    lifecycle.status(state, as_json=as_json)
