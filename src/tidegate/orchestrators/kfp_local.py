"""Runs a compiled pipeline with kfp's local runner, in a process of its own.

kfp prints to stdout, swaps the root logger's handlers and exits with a traceback; all of that goes to
the run's log, and `tidegate.orchestrators.local_run` tells a person what happened.
"""

import json
import sys
from pathlib import Path

from kfp import components, local


def main(ir: Path, root: Path, parameters: dict[str, str]) -> None:
    """Run the compiled IR; raises RuntimeError when a task fails."""
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(root))
    components.load_component_from_file(str(ir))(**parameters)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
