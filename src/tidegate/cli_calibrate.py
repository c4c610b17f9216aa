"""`tidegate calibrate`: how often a policy's gate errs, simulated or on the cluster."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.errors import UsageError

if TYPE_CHECKING:
    from tidegate.policy import Policy

calibrate_app = typer.Typer(rich_markup_mode=None)
PANEL = "Operating a release"


@calibrate_app.command(rich_help_panel=PANEL)
def calibrate(
    policy: Annotated[Path, typer.Argument(help="A policy file.")],
    report: Annotated[
        Path | None,
        typer.Option(help="A load report: simulate with its latencies instead of a queue's."),
    ] = None,
    service_ms: Annotated[
        float, typer.Option(help="Mean service time of the simulated queue; 0 = half busy.")
    ] = 0.0,
    cv: Annotated[float, typer.Option(min=0.01, help="Its scatter over its mean.")] = 1.0,
    drift: Annotated[float, typer.Option(min=0, help="Of the machine's speed.")] = 0.05,
    runs: Annotated[int, typer.Option(min=1, help="Load tests a difference.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same rates.")] = 1,
    on_cluster: Annotated[
        bool,
        typer.Option("--on-cluster", help="Send the load test to the incumbent, as both arms."),
    ] = False,
    golden: Annotated[
        Path | None, typer.Option(help="With --on-cluster: golden.npz with the requests to send.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print how often this policy's gate fails an equal version, and finds a slower one.

    Offline it simulates load tests of the policy's size; --on-cluster runs one real load test of the
    incumbent against itself and prints what the gate says of it; with load.baseline: dedicated, of two
    fresh copies of it, made for that and removed. All exit 0 whatever comes out.
    """
    from tidegate.adapters.files import read_policy

    wanted = read_policy(policy)
    if on_cluster:
        _on_cluster(wanted, golden, as_json=as_json)
        return
    _simulated(wanted, report, (service_ms, cv, drift), (runs, seed), as_json=as_json)


def _simulated(
    policy: "Policy",
    report: Path | None,
    queue: tuple[float, float, float],
    draws: tuple[int, int],
    *,
    as_json: bool,
) -> None:
    from tidegate.adapters.files import read
    from tidegate.documents import LoadReport
    from tidegate.operations import calibration

    service_ms, cv, drift = queue
    if report is not None:
        source, basis = calibration.from_report(read(report, LoadReport), policy.load)
    else:
        mean = service_ms or 500 / policy.load.rate_rps
        source, basis = calibration.from_queue(policy.load, service_ms=mean, cv=cv, drift=drift)
    runs, seed = draws
    found = calibration.calibrated(policy, source, basis=basis, runs=runs, seed=seed)
    typer.echo(found.model_dump_json(indent=2) if as_json else "\n".join(calibration.lines(found)))


def _on_cluster(policy: "Policy", golden: Path | None, *, as_json: bool) -> None:
    from tidegate.adapters.kubernetes import connect
    from tidegate.operations.against_a_copy import between_copies
    from tidegate.operations.against_itself import against_itself
    from tidegate.operations.finding import operator
    from tidegate.steps.progress import say

    if golden is None or not golden.is_file():
        raise UsageError(f"--golden {golden}: no such file; give the model's golden.npz")
    with connect(say=lambda text: say("kubernetes", text)) as kube:
        measure = between_copies if policy.load.baseline == "dedicated" else against_itself
        judged = measure(kube, policy, golden, f"calibrate-{operator()}")
    if as_json:
        from tidegate.documents import Judged

        kept = Judged(word=judged.word, reason=judged.reason, findings=judged.findings)
        typer.echo(kept.model_dump_json(indent=2))
        return
    for finding in judged.findings:
        sys.stderr.write(f"{finding.word}: {finding.message}\n")
    typer.echo(judged.word.value)
