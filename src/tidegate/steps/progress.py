"""What a person sees while a step runs: a line per event, to stderr and to a local runner's file."""

import json
import logging
import sys
import time
from pathlib import Path

from tidegate.config import settings

log = logging.getLogger("tidegate")


def configure_logging(level: int = logging.INFO) -> None:
    """Log to stderr; stdout is for the outcome word alone."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    log.setLevel(level)


def say(step: str, message: str) -> None:
    """Report progress of a step, now."""
    log.info("%s: %s", step, message)
    event(step, message)


def event(step: str, message: str, **details: str | int | float) -> None:
    """Append one event to the local runner's file. Never fails the step: progress is a courtesy."""
    target = settings().progress_file
    if not target:
        return
    line = json.dumps({"at_s": time.time(), "step": step, "message": message} | details)
    try:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        log.warning("cannot write progress to %s: %s", target, error.strerror)
