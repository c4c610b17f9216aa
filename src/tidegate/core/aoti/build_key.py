"""Under what name a package is kept, so that it is found again only where it is the same package. Pure."""

import hashlib
import json

from tidegate.policy import Aoti

# What changes where a package is compiled or kept, and not what it is.
NOT_IN_THE_PACKAGE = ("reuse", "compile_timeout_s")


def build_key(program_digest: str, torch: str, compiler: str, machine: str, wanted: Aoti) -> str:
    """sha256 over the exported program, torch, the compiler, what it compiles for, and the policy.

    `machine` is the CPU's flags where the package is for this machine alone, or the GPU; else its
    architecture.
    """
    told = {
        "program": program_digest,
        "torch": torch,
        "compiler": compiler,
        "machine": machine,
        "wanted": wanted.model_dump(mode="json", exclude=set(NOT_IN_THE_PACKAGE)),
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
