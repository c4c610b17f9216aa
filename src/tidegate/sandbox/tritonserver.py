"""The wheel's tritonserver as a command: `python -m tidegate.sandbox.tritonserver <its arguments>`.

Gives it the embedded backends, its libraries and names of its own in shared memory, gone when it ends.
It ends with whoever started it, for a step that was killed can end nothing.
"""

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from types import FrameType

from tidegate.sandbox import binaries, packages, triton_command

LOOK_S = 0.5  # how often it looks whether its parent lives
LEAVE_S = 10.0  # --exit-timeout-secs and some


def main(arguments: list[str]) -> int:
    """Run the server until it ends, or its parent does; SIGTERM is handed on."""
    parent = os.getppid()
    marker = uuid.uuid4().hex
    prefix = triton_command.shared_memory_prefix(marker, "command")
    with tempfile.TemporaryDirectory() as folder:
        backends = triton_command.assemble_backends(Path(folder) / "backends")
        server = subprocess.Popen(
            [
                str(binaries.tritonserver()),
                f"--backend-directory={backends}",
                f"--backend-config=python,shm-region-prefix-name={prefix}",
                "--allow-gpu-metrics=false",
                *packages.with_readable(arguments, Path(folder) / "models"),
            ],
            env=triton_command.environment({}),
        )

        def hand_on(number: int, _: FrameType | None) -> None:
            server.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, hand_on)
        code = _wait(server, parent)
    triton_command.remove_shared_memory(marker)
    return code


def _wait(server: "subprocess.Popen[bytes]", parent: int) -> int:
    """Its exit status. Polled, for the kernel's signal follows the thread that forked, not the process."""
    while os.getppid() == parent:
        try:
            return server.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
    server.terminate()
    try:
        return server.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
