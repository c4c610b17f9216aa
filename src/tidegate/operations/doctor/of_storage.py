"""Whether what a release publishes could be written."""

import os

from tidegate.adapters import storage as storages
from tidegate.config import settings
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.operations.doctor.findings import unset

PROBE = ".tidegate-doctor"


def storage() -> Check:
    """By writing a file there, and removing it."""
    uri = settings().storage_uri
    if not uri:
        return unset("storage", "storage_uri")
    folder = storages.local_folder(uri)
    if not folder.is_dir():
        return judged.fail(
            "storage", f"{uri} is no folder here", "mount it, or correct TIDEGATE_STORAGE_URI"
        )
    probe = folder / f"{PROBE}-{os.getpid()}"
    try:
        probe.write_text("written by tidegate doctor\n", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return judged.fail(
            "storage", f"{uri} cannot be written ({error.strerror})", "allow this user to write"
        )
    return judged.ok("storage", f"{uri} can be written")
