"""The process of a local run: started, watched, and followed by the guard where it could not run its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tidegate.config import VARIABLES
from tidegate.orchestrators.watch import Failure, Watch

GUARDED = "tidegate-release/guard/outputs"  # where the guard of a run writes, below its artifacts


def watched(arguments: list[str], folder: Path, environ: Mapping[str, str], watch: Watch) -> int:
    """Run this interpreter with these arguments to its end; its exit code, below 0 for a signal."""
    environ = {
        **environ,
        VARIABLES["progress_file"]: str(watch.path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    with (folder / "run.log").open("w", encoding="utf-8") as log:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
        with _interruptible(child, watch, environ, folder):
            while child.poll() is None:
                watch.show()
                time.sleep(0.2)
            watch.show()
    if child.returncode < 0:
        _killed(child, watch, environ, folder)
    return child.returncode


@contextmanager
def _interruptible(
    child: "subprocess.Popen[bytes]", watch: Watch, environ: Mapping[str, str], folder: Path
) -> Iterator[None]:
    """On Ctrl-C or SIGTERM: end the run's processes, then let the guard return the traffic."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _end(child)
        watch.line("interrupted: the guard returns production to the incumbent")
        _guard(watch.release_id, environ, folder)
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _killed(
    child: "subprocess.Popen[bytes]", watch: Watch, environ: Mapping[str, str], folder: Path
) -> None:
    """Nothing in a process that was killed can still run its exit handler."""
    with suppress(ProcessLookupError):  # what it had started goes with it
        os.killpg(child.pid, signal.SIGKILL)
    name = signal.Signals(-child.returncode).name
    watch.line(f"the run was killed ({name}): the guard returns production to the incumbent")
    watch.failure = watch.failure or Failure(
        step=watch.step,
        error=name,
        message=f"the run was killed ({name})",
        exit_code=128 - child.returncode,
    )
    _guard(
        watch.release_id, environ, folder, stdout=subprocess.DEVNULL
    )  # the word is the run's to say


def _end(child: "subprocess.Popen[bytes]") -> None:
    for number, patience in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, number)
            child.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _guard(
    release_id: str, environ: Mapping[str, str], folder: Path, *, stdout: int | None = None
) -> None:
    if not release_id:
        return
    home = folder / "artifacts" / GUARDED
    subprocess.run(
        [sys.executable, "-m", "tidegate", "guard", "--release-id", release_id, "--page", home / "page"],
        env=dict(environ), check=False, timeout=600, stdout=stdout,
    )  # fmt: skip
