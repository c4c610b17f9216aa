"""Both ends of a framework in a process of its own: what it is asked, and what it leaves in a folder.

Keras chooses its backend when it is imported, and TensorFlow keeps what it takes: neither belongs into the
process of a release. A program gets `<model> <folder> <opset>`, reads the golden rows there, takes them in
the model's own types, and writes its answers to them and to each kind of edge, and the graph, beside them;
what goes wrong is its one line on stdout, and exit code 1.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.adapters.flavors.edges import ROWS as EDGE_ROWS
from tidegate.core.edge_inputs import edge
from tidegate.errors import RejectedError
from tidegate.policy.model import EDGES

Array = npt.NDArray[Any]
Groups = Mapping[str, Mapping[str, Array]]  # `golden`, or a kind of edge -> arrays by name
GOLDEN = "golden"
ROWS, ANSWERS, GRAPH = "rows.npz", "answers.npz", "exported.onnx"
BATCH = 64
WITHIN_S = 900.0
REFUSED = 1


def exported(
    program: str, model: Path, folder: Path, opset: int, golden: Mapping[str, Array]
) -> Groups:
    """The framework's answers to the golden rows and at the edges that it takes; the graph lies in the folder
    then.

    Raises RejectedError with what the program said.
    """
    _write(folder / ROWS, {GOLDEN: golden})
    run(program, [str(model), str(folder), str(opset)], {"KERAS_HOME": str(folder)})
    return _read(folder / ANSWERS)


def run(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    done: str = "exported",
    within_s: float = WITHIN_S,
) -> None:
    """Run a program of this package to its end; what it started, such as a compiler, ends with it.

    `done` is what the model is when it ends well. Raises RejectedError with what the program said.
    """
    command = [sys.executable, "-m", f"{__package__}.{program}", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        start_new_session=True, env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
    ) as process:  # fmt: skip
        try:
            said = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired as error:
            raise RejectedError(f"is not {done} after {within_s:g} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        raise RejectedError(_said(process.returncode, *said, done))


def _said(code: int, out: str, err: str, done: str) -> str:
    """Its line; one that was killed, such as for its memory, has left none, and others' lines mislead."""
    if code < 0:
        return f"is not {done}: its process was killed by signal {-code}"
    said = out.strip() or err.strip() or f"ended with {code}"
    return said.splitlines()[-1]


def _write(path: Path, groups: Groups) -> None:
    arrays = {f"{group}/{n}": a for group, named in groups.items() for n, a in named.items()}
    np.savez(path, **arrays)


def _read(path: Path) -> dict[str, dict[str, Array]]:
    found: dict[str, dict[str, Array]] = {}
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            group, _, name = key.partition("/")
            found.setdefault(group, {})[name] = file[key]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model that its framework has loaded."""

    rows: Mapping[str, Array]  # golden ones, in the model's own order and types
    outputs: tuple[str, ...]
    ask: Callable[[list[Array]], list[Array]]
    export: Callable[[Path], None]


def main(load: Callable[[Path, Mapping[str, Array], int], Source]) -> int:
    """The program's end: load, answer, export."""
    model, folder, opset = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    golden = _read(folder / ROWS)[GOLDEN]
    try:
        with told("does not load"):
            source = load(model, golden, opset)
        _write(folder / ANSWERS, dict(_answers(source)))
        with told(f"cannot be converted to ONNX opset {opset}"):
            source.export(folder / GRAPH)
    except RejectedError as error:
        sys.stdout.write(f"\n{error}\n")
        return REFUSED
    return 0


class told:  # noqa: N801  a context manager, which reads like a verb
    """Any error of a framework as one line: `what: <what it began with>`."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, RejectedError):
            raise RejectedError(f"{self.what}: {cause(error)}") from error


def cause(error: BaseException) -> str:
    """The first line of what it began with: frameworks wrap that in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _answers(source: Source) -> Iterator[tuple[str, dict[str, Array]]]:
    """To the golden rows, and to every kind of edge that the framework does not refuse."""
    edges = {kind: edge(kind, source.rows, EDGE_ROWS) for kind in EDGES}
    for group, named in ({GOLDEN: source.rows} | edges).items():
        try:
            with told("fails on golden inputs"):
                found = _batched(source, list(named.values()))
        except RejectedError:
            if group == GOLDEN:
                raise
            continue
        yield group, dict(zip(source.outputs, found, strict=True))


def _batched(source: Source, arrays: list[Array]) -> list[Array]:
    starts = range(0, len(arrays[0]), BATCH)
    parts = [source.ask([a[at : at + BATCH] for a in arrays]) for at in starts]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def ordered(named: Mapping[str, Array], taken: Sequence[tuple[str, Any]]) -> dict[str, Array]:
    """The rows under their own names, in the order and the types in which the model takes them.

    `taken` are its inputs' names and types: rows of whole numbers would make another signature of a float.

    The one input of a model may be called as the rows call it: Keras numbers what has no name, and another
    number would be another signature. Raises RejectedError.
    """
    names = [name for name, _ in taken]
    if len(names) == 1 and len(named) == 1:
        names = list(named)
    if set(names) != set(named):
        raise RejectedError(
            f"takes {', '.join(names)}, the golden data have {', '.join(named)}: "
            "name the arrays input.<name>"
        )
    pairs = zip(names, taken, strict=True)
    return {name: named[name].astype(kind) for name, (_, kind) in pairs}


def numbered(count: int) -> tuple[str, ...]:
    """Names of outputs that have none of their own."""
    return ("output",) if count == 1 else tuple(f"output_{n}" for n in range(count))
