"""AOTInductor in a process of its own: `<program> <package> <what it is told, as JSON>`.

It starts compilers, and what it compiles for is a setting of the whole process.
"""

import json
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from tidegate.adapters.aoti import archive
from tidegate.adapters.flavors.exports.process import REFUSED, told
from tidegate.errors import RejectedError


def main() -> int:
    """Load the program, compile it, write the package."""
    program, package, wanted = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    warnings.simplefilter("ignore")
    try:
        with told("cannot be compiled by AOTInductor"):
            _compile(_loaded(program, wanted["device"]), package, wanted)
    except RejectedError as error:
        sys.stdout.write(f"\n{error}\n")
        return REFUSED
    return 0


def _loaded(program: str, device: str) -> Any:
    import torch

    found = torch.export.load(program)
    if device == "cuda":
        from torch.export.passes import move_to_device_pass

        return move_to_device_pass(found, device)
    return found


def _compile(program: Any, package: str, wanted: Mapping[str, str]) -> None:
    import torch
    from torch._inductor import aoti_compile_and_package

    configs: dict[str, Any] = {"aot_inductor.metadata": {archive.TORCH: str(torch.__version__)}}
    if "march" in wanted:
        _require_choice(str(torch.__version__))
        configs |= {"cpp.march": wanted["march"], "cpp.simdlen": int(wanted["bits"])}
    aoti_compile_and_package(program, package_path=package, inductor_configs=configs)


def _require_choice(version: str) -> None:
    """Older ones compile for their own machine, whatever they are told. Raises RejectedError."""
    from torch._inductor import config

    if not hasattr(config.cpp, "march"):
        raise RejectedError(
            f"cannot be compiled for other machines by torch {version}; write optimize.aoti.cpu: native"
        )


if __name__ == "__main__":
    raise SystemExit(main())
