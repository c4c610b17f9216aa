"""Runs a compiled Argo workflow with a process for each container, as its pods would be.

A process of its own, like kfp's.
"""

import json
import subprocess
import sys
from pathlib import Path

from tidegate.orchestrators.argo_workflow import main
from tidegate.steps.progress import event


class Process:
    """Each container's command, as it stands in the drawing."""

    tries_again = True

    def __call__(self, name: str, command: list[str]) -> int:
        """Its exit code, as a container's: 128 and the signal's number for one that was killed."""
        last = ""
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            for line in child.stderr:
                sys.stderr.write(line)
                last = line.strip() or last
        code = child.returncode if child.returncode >= 0 else 128 - child.returncode
        if code:
            event(name, last.removeprefix("tidegate: "), error=f"exit {code}", exit_code=code)
        return code


if __name__ == "__main__":
    given = json.loads(sys.argv[3])
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2]), given, Process()))
