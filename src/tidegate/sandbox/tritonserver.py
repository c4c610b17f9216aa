"""The wheel's tritonserver as a command: `python -m tidegate.sandbox.tritonserver <its arguments>`.

Gives it the embedded backends, its libraries and names of its own in shared memory, gone when it ends.
"""

import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from types import FrameType

from tidegate.sandbox import binaries, triton_command


def main(arguments: list[str]) -> int:
    """Run the server until it ends; SIGTERM is handed on."""
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
                *arguments,
            ],
            env=triton_command.environment({}),
        )

        def hand_on(number: int, _: FrameType | None) -> None:
            server.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, hand_on)
        code = server.wait()
    triton_command.remove_shared_memory(marker)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
