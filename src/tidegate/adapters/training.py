"""A user's own training, as a process; it says in a file which version it has registered."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tidegate.errors import DocumentError, RejectedError, UnavailableError

URI_FILE = "TIDEGATE_MODEL_URI_FILE"


def model_uri_of(command: str) -> str:
    """Run the command by a shell; what it wrote to $TIDEGATE_MODEL_URI_FILE, '' = nothing new.

    Its output goes to the log. Raises UnavailableError when it ends with 75, RejectedError for any other
    code but 0, DocumentError when it wrote no such file.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "model_uri"
        done = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, URI_FILE: str(told)},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode == UnavailableError.exit_code:
            raise UnavailableError("the training asked to be tried again (exit 75); see its log")
        if done.returncode:
            raise RejectedError(f"the training ended with {done.returncode}; see its log")
        if not told.is_file():
            raise DocumentError(
                f"the training wrote no ${URI_FILE}; write the model URI, or nothing"
            )
        return told.read_text(encoding="utf-8").strip()
