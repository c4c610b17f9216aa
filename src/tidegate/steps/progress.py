"""What a person sees while a step runs: a line per event, to stderr and to the local runner's file."""

import json
import logging
import time
from pathlib import Path

from tidegate.config import settings

log = logging.getLogger("tidegate")


def say(step: str, message: str) -> None:
    """Report progress of a step now. Never fails the step: progress is a courtesy."""
    log.info("%s: %s", step, message)
    target = settings().progress_file
    if not target:
        return
    line = json.dumps({"at_s": time.time(), "step": step, "message": message})
    try:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        log.warning("cannot write progress to %s: %s", target, error)
