"""The command line: one command per step, made from the step's signature, and `release` for all of them.

stdout carries the outcome word alone; everything for people goes to stderr.
"""

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tidegate import __version__
from tidegate.cli_calibrate import calibrate_app
from tidegate.cli_compile import compile_app
from tidegate.cli_operations import operations_app
from tidegate.cli_replay import replayable
from tidegate.cli_schedule import schedule_app, submit_app
from tidegate.cli_tune import tune_app
from tidegate.cli_upkeep import upkeep_app
from tidegate.errors import TidegateError, UsageError
from tidegate.sandbox.commands import DEFAULT_STATE, sandbox_app
from tidegate.steps.execution import execute, write_results
from tidegate.steps.progress import configure_logging
from tidegate.steps.registry import Parameter, Step, steps

app = typer.Typer(
    name="tidegate",
    help="Release a registered MLflow model to KServe and Triton behind evidence.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(operations_app)
app.add_typer(upkeep_app)
app.add_typer(calibrate_app)
app.add_typer(tune_app)
app.add_typer(submit_app)
app.add_typer(schedule_app)
app.add_typer(compile_app)

STEPS_PANEL = "Steps"


def main() -> None:
    """Run the command line; bad input ends in one line and the error's exit code."""
    try:
        app()
    except TidegateError as error:
        sys.stderr.write(f"tidegate: {error}\n")
        raise SystemExit(error.exit_code) from error


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    configure_logging(level=10 if verbose else 20)
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def release(
    policy: Annotated[
        str, typer.Argument(help="The policy: a file, or a reference (see resolve).")
    ],
    model_uri: Annotated[str, typer.Option(help="Overrides the policy's model.uri.")] = "",
    train: Annotated[
        str,
        typer.Option(
            help="A command that trains first (see train); what it registers is released, if it is new."
        ),
    ] = "",
    namespace: Annotated[str, typer.Option(help="Overrides the policy's namespace.")] = "",
    runs: Annotated[Path, typer.Option(help="Folder that keeps each run's documents.")] = Path(
        ".tidegate/runs"
    ),
    runner: Annotated[
        Literal["in-process", "kfp", "argo"],
        typer.Option(
            help="All steps in one process; or a process each, as Kubeflow's or Argo's drawing says."
        ),
    ] = "in-process",
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="On the running `tidegate sandbox`.")
    ] = False,
) -> None:
    """Run the whole release from here, as its drawing says, on the cluster of your kubeconfig."""
    from tidegate.orchestrators.local_run import run_release

    if train and model_uri:
        raise UsageError("--train says which version is released; leave out --model-uri")
    ended = run_release(
        policy,
        runner=runner,
        model_uri=model_uri,
        train=train,
        namespace=namespace,
        runs=runs,
        environment=_sandbox_environment() if sandbox else None,
    )
    sys.stderr.write(f"{ended.reason}\nreport: {ended.page or ended.folder}\n")
    typer.echo(ended.result)
    raise typer.Exit(ended.exit_code)


def _sandbox_environment() -> dict[str, str]:
    from tidegate.sandbox.state import StateDirectory

    home = StateDirectory(Path(os.environ.get("TIDEGATE_SANDBOX", str(DEFAULT_STATE))))
    state = home.read()
    if state is None or state.phase != "Ready" or not home.is_held():
        raise UsageError(f"no sandbox runs at {home.root}; run `tidegate sandbox up` first")
    return os.environ | state.environment


@app.command()
def validate(
    policy: Annotated[Path, typer.Argument(help="A policy file.")],
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Also ask Prometheus for every metric it names.")
    ] = False,
) -> None:
    """Read a policy and print what it means, every default filled in."""
    from tidegate.adapters.files import read_policy
    from tidegate.operations.queries import require_metrics

    read = read_policy(policy)
    if prometheus:
        require_metrics(read, what=str(policy))
    typer.echo(read.model_dump_json(indent=2))


@app.command()
def schema() -> None:
    """Print the policy's JSON Schema, for editors to complete and check policy.yaml."""
    import json

    from tidegate.policy import Policy

    typer.echo(json.dumps(Policy.model_json_schema(), indent=2))


def _command(step: Step) -> Callable[..., None]:
    """A Typer command with the step's own parameters as options."""

    def run(results: Path | None = None, **arguments: Any) -> None:
        outputs = execute(step, arguments)
        if results is not None:
            write_results(results, outputs)
        typer.echo(next(iter(outputs.values()), ""))

    options = [_option(p) for p in step.parameters]
    results = inspect.Parameter(
        "results",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            Path | None, typer.Option(help="Folder for the step's outputs, one file each.")
        ],
    )
    run.__name__ = step.name
    run.__doc__ = inspect.getdoc(step.function)
    run.__signature__ = inspect.Signature([*options, results])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*options, results)}
    return run


def _option(parameter: Parameter) -> inspect.Parameter:
    wanted = {
        "document": "document (JSON)",
        "policy": "effective policy (JSON)",
        "tree": "folder",
        "page": "HTML page",
        "markdown": "Markdown file",
        "metrics": "numbers (JSON)",
    }
    help_text = "read" if parameter.port and parameter.port.direction == "in" else "written"
    described = f"{wanted[parameter.port.content]}, {help_text}" if parameter.port else ""
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if parameter.required else parameter.default,
        annotation=Annotated[parameter.type, typer.Option(help=described)],
    )


for _step in steps().values():
    _run = replayable(_command(_step)) if _step.name == "gate" else _command(_step)
    app.command(name=_step.command, rich_help_panel=STEPS_PANEL)(_run)


if __name__ == "__main__":
    main()
