"""The second way to a plan: NVIDIA's command, where the image ships it."""

import shlex
import shutil
import subprocess
from pathlib import Path

from tidegate.config import settings
from tidegate.core.tensorrt import trtexec
from tidegate.errors import RejectedError, UsageError
from tidegate.policy import TensorRt


def command() -> tuple[str, ...]:
    """TIDEGATE_TRTEXEC, or `trtexec` of PATH. Raises UsageError when there is none."""
    words = tuple(shlex.split(settings().trtexec or "trtexec"))
    if not words or shutil.which(words[0]) is None:
        raise UsageError(
            f"no {words[0] if words else 'trtexec'} is here; set TIDEGATE_TRTEXEC to its command, "
            "or write optimize.tensorrt.builder: python"
        )
    return words


def build(arguments: tuple[str, ...], wanted: TensorRt, plan: Path, *, what: str) -> trtexec.Told:
    """Run it until the plan is there. Raises RejectedError with what it says."""
    try:
        done = subprocess.run(
            [*command(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=wanted.build_timeout_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RejectedError(
            f"trtexec builds no plan of {what} within {wanted.build_timeout_s:g} s; "
            "raise optimize.tensorrt.build_timeout_s"
        ) from error
    told = trtexec.told(done.stdout, done.returncode)
    if not told.passed or not plan.is_file():
        raise RejectedError(
            f"trtexec builds no plan of {what}: {told.reason or 'it passes and writes none'}"
        )
    return told
