"""Runs a step as Kubeflow's launcher asks for it: `--executor_input {{$}}` in, executor_output.json out.

The whole executor protocol, without kfp in the image. The local runner speaks it too.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.adapters.files import write_text
from tidegate.errors import TidegateError, UsageError
from tidegate.steps.execution import execute
from tidegate.steps.progress import configure_logging, event
from tidegate.steps.registry import Parameter, Step, steps

# Where the launcher mounts remote artifacts (its LocalPathForURI).
MOUNTS: Mapping[str, str] = {"s3://": "/s3/", "gs://": "/gcs/", "minio://": "/minio/"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step; the last line on stderr names the error's class, since KFP drops exit codes."""
    options = _options(argv)
    configure_logging()
    try:
        _run(_step(options.step), json.loads(options.executor_input))
    except TidegateError as error:
        name = type(error).__name__
        event(options.step, str(error), error=name, exit_code=error.exit_code)
        sys.stderr.write(f"tidegate: {name}: {error}\n")
        return error.exit_code
    except Exception as error:
        # A bug: the traceback stays in the log, and the person watching learns which step it was.
        event(options.step, f"{error}; a bug, see the log", error=type(error).__name__, exit_code=1)
        raise
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tidegate.orchestrators.executor")
    parser.add_argument("step")
    parser.add_argument("--protocol", help="a label: the protocol spoken, kfp.dsl.executor_main")
    parser.add_argument("--executor_input", required=True)
    return parser.parse_args(argv)


def _step(name: str) -> Step:
    known = steps()
    if name not in known:
        raise UsageError(f"no step is called {name!r}; choose one of {', '.join(known)}")
    return known[name]


def _run(step: Step, executor_input: dict[str, Any]) -> None:
    arguments = _arguments(step, executor_input)
    event(step.command, "started", release_id=arguments.get("release_id", ""))
    declared = executor_input["outputs"].get("parameters", {})
    results = {k: v for k, v in execute(step, dict(arguments)).items() if k in declared}
    outputs = {
        "parameterValues": results,
        "artifacts": {
            port.name: {"artifacts": [_artifact(port, executor_input, arguments[port.name])]}
            for port in step.ports("out")
        },
    }
    write_text(Path(executor_input["outputs"]["outputFile"]), json.dumps(outputs))
    event(step.command, "finished", **{k: v for k, v in results.items() if isinstance(v, str)})


def _arguments(step: Step, executor_input: dict[str, Any]) -> dict[str, Any]:
    given = executor_input.get("inputs", {}).get("parameterValues", {})
    scalars = {p.name: _scalar(p, given[p.name]) for p in step.scalars if p.name in given}
    ports = {
        port.name: _path(_runtime_artifact(executor_input, port))
        for port in (*step.ports("in"), *step.ports("out"))
    }
    return scalars | ports


def _scalar(parameter: Parameter, value: Any) -> Any:
    """KFP's numbers may arrive as floats; bools and strings arrive as themselves."""
    return parameter.type(value) if parameter.type in (int, float) else value


def _runtime_artifact(executor_input: dict[str, Any], port: Parameter) -> dict[str, Any]:
    side = "inputs" if port.port and port.port.direction == "in" else "outputs"
    artifact: dict[str, Any] = executor_input[side]["artifacts"][port.name]["artifacts"][0]
    return artifact


def _path(artifact: Mapping[str, Any]) -> Path:
    uri: str = artifact.get("customPath") or artifact["uri"]
    for scheme, mount in MOUNTS.items():
        if uri.startswith(scheme):
            return Path(mount + uri.removeprefix(scheme))
    return Path(uri)


def _artifact(port: Parameter, executor_input: dict[str, Any], path: Path) -> dict[str, Any]:
    """The artifact as the launcher knows it; numbers of a metrics port become its metadata."""
    known = _runtime_artifact(executor_input, port)
    metadata = known.get("metadata", {})
    if port.port and port.port.content == "metrics" and path.is_file():
        metadata = metadata | json.loads(path.read_text(encoding="utf-8"))
    return {"name": known.get("name", port.name), "uri": known["uri"], "metadata": metadata}


if __name__ == "__main__":
    os.umask(0o022)
    raise SystemExit(main())
