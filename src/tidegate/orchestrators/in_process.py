"""Runs a compiled Argo workflow with all its steps in one process: each command is a call of its step.

Neither kfp nor Argo is needed, and no interpreter starts for every step. The process is a child of
`tidegate release`, so that the guard runs even when it is killed: by a signal, or for its memory.
"""

import gc
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tidegate.errors import TidegateError
from tidegate.orchestrators.argo_workflow import main
from tidegate.steps.execution import execute, write_results
from tidegate.steps.progress import event, log
from tidegate.steps.registry import Step, steps


class Call:
    """Each container's command, run by what it would run.

    Nothing is tried again beyond what a step itself tries: whoever typed the release is told, and is there.
    """

    tries_again = False

    def __call__(self, name: str, command: list[str]) -> int:
        """The exit code that its process would have ended with."""
        gc.collect()
        gc.freeze()  # what earlier steps have loaded is not searched while this one measures latencies
        _, step_name, results, *given = command
        step = steps()[step_name.replace("-", "_")]
        try:
            outputs = execute(step, arguments(step, given))
            write_results(Path(results.partition("=")[2]), outputs)
        except TidegateError as error:
            log.error("%s: %s", name, error)
            return _failed(name, type(error).__name__, str(error), error.exit_code)
        except Exception as error:  # noqa: BLE001 - a bug; the guard must run all the same
            log.exception("%s", name)
            return _failed(name, type(error).__name__, f"{error}; a bug, see the log", 1)
        return 0


def arguments(step: Step, given: Iterable[str]) -> dict[str, Any]:
    """A step's arguments from `--name=value`, each of its own type."""
    types = {parameter.name: parameter.type for parameter in step.parameters}
    pairs = (one.removeprefix("--").partition("=") for one in given)
    texts = {name.replace("-", "_"): value for name, _, value in pairs}
    return {name: TypeAdapter(types[name]).validate_strings(text) for name, text in texts.items()}


def _failed(name: str, error: str, message: str, code: int) -> int:
    event(name, message, error=error, exit_code=code)
    return code


if __name__ == "__main__":
    chosen = json.loads(sys.argv[3])
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2]), chosen, Call()))
