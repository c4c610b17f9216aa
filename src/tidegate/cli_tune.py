"""`tidegate tune`: the settings of a served model with the highest throughput within its latency limit."""

import contextlib
import importlib.util
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.errors import NotPromotedError, UsageError

if TYPE_CHECKING:
    from tidegate.core.tuning.space import Space
    from tidegate.documents import Tuning
    from tidegate.operations.tuning.source import Source
    from tidegate.policy import Policy

tune_app = typer.Typer(rich_markup_mode=None)
PANEL = "Before a release"
HOUR_MS = 3.6e6
LEAST_REQUESTS = 200  # of a level: two of them may be slower than its p99
List = Annotated[str, typer.Option(help="Comma-separated; '' = the usual ones.")]


@tune_app.command(rich_help_panel=PANEL)
def tune(
    policy: Annotated[
        str,
        typer.Argument(
            help="The policy: a file, or a reference (see resolve). It names limit and model."
        ),
    ] = "",
    model_uri: Annotated[str, typer.Option(help="Overrides the policy's model.uri.")] = "",
    repository: Annotated[
        Path | None,
        typer.Option(
            help="Tune this repository folder, as configure wrote it, not a model version."
        ),
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(help="With --repository: golden.npz with the rows to send.")
    ] = None,
    p99_ms: Annotated[
        float,
        typer.Option(min=0, max=HOUR_MS, help="The latency limit; 0 = the policy's tightest."),
    ] = 0.0,
    max_errors: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Failed or wrong answers over all; 0 = the policy's limit."
        ),
    ] = 0.0,
    rate_rps: Annotated[
        float,
        typer.Option(
            min=0, max=1e6, help="Expected load; only where the search starts depends on it."
        ),
    ] = 0.0,
    batches: List = "",
    instances: List = "",
    threads: List = "",
    delays_us: List = "",
    budget: Annotated[
        int, typer.Option(min=0, help="Settings that may be measured; 0 = a fifth of the space.")
    ] = 0,
    step_s: Annotated[
        float, typer.Option(min=0.05, max=60, help="Length of one level of load.")
    ] = 1.0,
    max_in_flight: Annotated[int, typer.Option(min=1, help="Most requests at a time.")] = 64,
    processes: Annotated[int, typer.Option(min=1, help="Of the generator.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the winner's Poisson arrivals.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for tuning.json and tuning.svg.")] = Path(
        ".tidegate/tune"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole document.")] = False,
) -> None:
    """Search max_batch_size, instances, queue delay and threads for the highest throughput within the SLO.

    Every setting is loaded into one running tritonserver of this machine (its load API, no restart) and asked
    golden rows; the winner is measured again on rows that the search has not seen, in a closed and in an open
    loop. Prints the `triton:` fields for the policy; every measurement is in tuning.json, the frontier in
    tuning.svg. Exit 7, with how far off it is, when no setting keeps the limit.

    The server is TIDEGATE_TRITONSERVER, else tritonserver on PATH, else the sandbox's. Run it where the
    model will be served: the best setting of one machine is not another's.
    """
    from tidegate.core.tuning.objective import objective_of
    from tidegate.core.tuning.search import budget_for
    from tidegate.operations.tuning.measuring import Pace
    from tidegate.operations.tuning.searching import Wanted, space_for, tuned

    lists = {
        "max_batch_size": ("--batches", batches), "instances": ("--instances", instances),
        "threads": ("--threads", threads), "queue_delay_us": ("--delays-us", delays_us),
    }  # fmt: skip
    if budget == 1:
        raise UsageError("--budget 1 is spent on the probe; give 2 or more, or 0")
    given = {
        axis: _numbers(*one, least=0 if axis == "queue_delay_us" else 1)
        for axis, one in lists.items()
    }
    with _ended_by_signals(), _source(policy, model_uri, repository, golden) as source:
        objective = objective_of(source.policy.slo, p99_ms=p99_ms, max_errors=max_errors)
        space = _space(space_for(source, objective), given, source)
        found = tuned(
            source,
            Wanted(
                objective=objective,
                space=space,
                pace=Pace(step_s=step_s, requests=LEAST_REQUESTS, most_in_flight=max_in_flight),
                budget=budget_for(len(space.settings()), budget),
                processes=processes,
                rate_rps=rate_rps,
                seed=seed,
            ),
        )
    _told(found, out, as_json=as_json)


def _told(found: "Tuning", out: Path, *, as_json: bool) -> None:
    from tidegate.adapters.files import write, write_text
    from tidegate.core.tuning.outcome import policy_fields
    from tidegate.report.plots.tuning import tuning_frontier

    write(out / "tuning.json", found)
    write_text(out / "tuning.svg", tuning_frontier(found))
    sys.stderr.write(
        f"{found.measured} measurements of {len(found.space)} settings; {found.reason}\n"
        f"every point: {out / 'tuning.json'}, frontier: {out / 'tuning.svg'}\n"
    )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    if found.winner is None:
        raise NotPromotedError(found.reason)
    if not as_json:
        typer.echo(policy_fields(found.winner), nl=False)


def _numbers(flag: str, text: str, *, least: int) -> tuple[int, ...]:
    """Rising numbers. Raises UsageError."""
    words = [word.strip() for word in text.split(",")] if text else []
    numbers = [int(word) for word in words if re.fullmatch(r"\d{1,9}", word)]
    if len(numbers) < len(words) or any(number < least for number in numbers):
        raise UsageError(f"{flag} {text!r}: write whole numbers of at least {least}, as in 1,2,4")
    return tuple(sorted(set(numbers)))


def _space(usual: "Space", given: dict[str, tuple[int, ...]], source: "Source") -> "Space":
    """The usual space with the axes that were named. Raises UsageError for one that cannot be served."""
    from dataclasses import replace

    if not source.config.max_batch_size and (given["max_batch_size"] or given["queue_delay_us"]):
        raise UsageError(
            f"{source.config.name} has max_batch_size 0 and is served without batching; leave out --batches "
            "and --delays-us"
        )
    named = {axis: values for axis, values in given.items() if values}
    cores_bound = usual.most_threads if not {"instances", "threads"} & named.keys() else 0
    made = replace(usual, most_threads=cores_bound, **named)
    if len(made.settings()) < 2:
        raise UsageError(
            "the space has one setting, and there is nothing to search; name more values"
        )
    return made


@contextlib.contextmanager
def _source(
    policy: str, model_uri: str, repository: Path | None, golden: Path | None
) -> Iterator["Source"]:
    """The model to tune, and a server to tune it on. Raises UsageError."""
    from tidegate.operations.tuning.source import from_policy, from_repository

    if repository is None:
        if not policy:
            raise UsageError("name a policy, or a --repository with its --golden rows")
        if golden is not None:
            raise UsageError("--golden goes with --repository; a model version brings its own rows")
        with _tritonserver(), from_policy(policy, model_uri) as source:
            yield source
        return
    if golden is None or not golden.is_file():
        raise UsageError(f"--golden {golden}: no such file; give the model's golden.npz")
    with _tritonserver():
        yield from_repository(repository, golden, _policy(policy))


def _policy(policy: str) -> "Policy":
    """The policy that was named, or one that says nothing."""
    from tidegate.adapters.policy_source import load
    from tidegate.policy import Policy

    if policy:
        return load(policy, artifact=lambda *_: "")
    return Policy.model_validate({"name": "tuned", "model": {"uri": "models:/tuned/1"}})


@contextlib.contextmanager
def _tritonserver() -> Iterator[None]:
    """A server's command, the sandbox's where there is no other. Raises UsageError."""
    from tidegate.adapters.tritonserver import command
    from tidegate.config import VARIABLES

    name = VARIABLES["tritonserver"]
    if command():
        yield
        return
    if importlib.util.find_spec("pytriton") is None:
        raise UsageError(
            f"no tritonserver is here; set {name} to its command, or pip install 'tidegate[sandbox]'"
        )
    os.environ[name] = shlex.join([sys.executable, "-m", "tidegate.sandbox.tritonserver"])
    try:
        yield
    finally:
        del os.environ[name]


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: with its server, its generator and its folder gone."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("tidegate: stopped; nothing was written\n")
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGTERM, before)
