"""A policy as an earlier tidegate recorded it, in the names of today. Pure."""

from collections.abc import Mapping
from typing import Any


def in_todays_names(held: Mapping[str, Any]) -> dict[str, Any]:
    """What a release recorded before `serving.gpu.preflight` became `serving.preflight`.

    Its `refuse` was of devices alone, which is what `auto` says now. A policy file with the old name is
    refused instead (`Gpu`): its owner can write the new one, the owner of a journal cannot.
    """
    serving = held.get("serving")
    gpu = serving.get("gpu") if isinstance(serving, Mapping) else None
    if not isinstance(serving, Mapping) or not isinstance(gpu, Mapping) or "preflight" not in gpu:
        return dict(held)
    said = "report" if gpu["preflight"] == "report" else "auto"
    kept = {name: value for name, value in gpu.items() if name != "preflight"}
    return {**held, "serving": {"preflight": said, **serving, "gpu": kept}}
