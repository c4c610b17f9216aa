"""Packages of AOTInductor on a server that is older than any that has them.

Triton 2.51 refuses `platform: "torch_aoti"` before a backend sees it (`unexpected 'platform' and 'backend'
pair`), so it reads a config.pbtxt without that line: the one thing in which the sandbox serves another config
than the one that ships. Its pytorch backend then tells a package by its file.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tidegate.adapters.model_config_text import from_text, to_text
from tidegate.core import served_config
from tidegate.core.aoti.serving import PLATFORM
from tidegate.errors import DocumentError

TRITON = (2, 51)  # of nvidia-pytriton's wheel
_REPOSITORY = "--model-repository="


def readable(models: Path) -> None:
    """Rewrite what it would refuse, in a folder that is the server's own.

    A text that does not parse is left to the server, which refuses it in its own words.
    """
    for file in _of_packages(models):
        try:
            config = from_text(file.read_text(encoding="utf-8"), what=str(file))
        except (DocumentError, UnicodeDecodeError):
            continue
        text = to_text(served_config.readable(config, TRITON))
        file.unlink()  # it may be a link to the one that ships
        file.write_text(text, encoding="utf-8")


def with_readable(arguments: Sequence[str], scratch: Path) -> list[str]:
    """A server's own arguments, with a copy in the place of a repository that it would refuse."""
    return [
        f"{_REPOSITORY}{_copied(Path(one.removeprefix(_REPOSITORY)), scratch)}"
        if one.startswith(_REPOSITORY)
        else one
        for one in arguments
    ]


def _copied(models: Path, scratch: Path) -> Path:
    if not _of_packages(models):
        return models
    shutil.copytree(models, scratch, copy_function=_linked)
    readable(scratch)
    return scratch


def _linked(source: str, target: str) -> None:
    """A model may be large."""
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)


def _of_packages(models: Path) -> list[Path]:
    texts = sorted(models.glob("*/config.pbtxt"))
    return [file for file in texts if f'"{PLATFORM}"'.encode() in file.read_bytes()]
