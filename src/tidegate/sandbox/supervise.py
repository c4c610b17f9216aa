"""The process that holds a sandbox: started by `tidegate sandbox up`, ended by a signal."""

import argparse
import contextlib
import signal
import sys
import threading
import time
from pathlib import Path

from tidegate.errors import TidegateError
from tidegate.sandbox.cluster import Sandbox
from tidegate.sandbox.data_plane import Ports


def hold(sandbox: Sandbox) -> None:
    """Start the sandbox and keep it until SIGTERM or SIGINT; leaves nothing behind."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    starting = threading.Thread(target=_end_when, args=(ended, sandbox), daemon=True)
    starting.start()
    try:
        sandbox.start()
        while not ended.wait(1.0):
            pass
    except Exception:
        if not ended.is_set():  # else it failed because it was being stopped, in whatever words
            raise
    finally:
        sandbox.stop()


def _end_when(ended: threading.Event, sandbox: Sandbox) -> None:
    """A signal during the start-up ends the children, which ends the start-up."""
    ended.wait()
    sandbox.stop()


def main(arguments: list[str]) -> int:
    """Run a sandbox in this process; the exit code is the error's."""
    given = _parser().parse_args(arguments)
    ports = Ports(
        ingress=given.ingress_port,
        mlflow=given.mlflow_port,
        prometheus=given.prometheus_port,
        kubernetes=given.kubernetes_port,
    )
    try:
        hold(Sandbox(given.state, ports=ports, era=given.era, mode=given.mode, progress=_log))
    except TidegateError as error:
        _log(str(error))
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tidegate.sandbox.supervise")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--era", default="serving_invocation")
    parser.add_argument("--mode", default="Knative")
    for part in ("ingress", "mlflow", "prometheus", "kubernetes"):
        parser.add_argument(f"--{part}-port", type=int)
    return parser


def _log(line: str) -> None:
    with contextlib.suppress(OSError):  # the log may be on the disk that is full
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
