"""How many GPUs the server's process will see, by what the policy asks the cluster for. Pure."""

import re
from collections.abc import Mapping

_MIG = re.compile(r"^nvidia\.com/mig-")
_WHOLE = re.compile(r"^nvidia\.com/gpu(\.shared)?$")


def visible_gpus(resources: Mapping[str, Mapping[str, str]]) -> int | None:
    """None where the policy asks for none itself: the runtime may.

    A process enumerates one MIG slice, however many it was given, and calls it GPU 0.
    Source: NVIDIA's MIG user guide, "CUDA visible devices".
    """
    limits = {**resources.get("requests", {}), **resources.get("limits", {})}
    if any(_MIG.match(name) and count != "0" for name, count in limits.items()):
        return 1
    counts = [count for name, count in limits.items() if _WHOLE.match(name)]
    return sum(int(count) for count in counts if count.isdecimal()) if counts else None
