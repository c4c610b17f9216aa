"""What a package says of itself, read without torch.

The archive holds what AOTInductor compiled below `data/aotinductor/`, each with a `*_metadata.json`
(torch/_inductor/codecache.py, get_device_information, torch 2.13).
"""

import json
import zipfile
from pathlib import Path

from tidegate.errors import RejectedError

TORCH = "TIDEGATE_TORCH"  # written when it is compiled: torch does not say its own version
DEVICE = "AOTI_DEVICE_KEY"
VECTORS, MACHINE = "AOTI_CPU_ISA", "AOTI_MACHINE"


def metadata(package: Path) -> dict[str, str]:
    """Its words by key, {} where it has none. Raises RejectedError for a file that is no package."""
    found: dict[str, str] = {}
    try:
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if "/aotinductor/" in name and name.endswith("_metadata.json"):
                    found |= json.loads(archive.read(name))
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise RejectedError(
            f"{package.name} is no AOTInductor package ({error}); compile it again"
        ) from error
    return {key: str(value) for key, value in found.items()}
