"""AOTInductor packages (platform torch_aoti): which server runs them, and what it does not do with them.

Source: core's AutoCompleteBackendFields (2026-06-09), and src/pt2/ of pytorch_backend (2026-05-13).
"""

import re

from tidegate.core.aoti.serving import NAMES_SINCE, PACKAGE, PLATFORM, other_torch, too_old
from tidegate.core.lint.layout import backend_of
from tidegate.core.lint.subject import Judged, Repository, Rule

ORDINAL = {"input": re.compile(r"INPUT__(\d+)"), "output": re.compile(r"OUTPUT__(\d+)")}
SPECIFIED = {
    "input": re.compile(r"ARGS\[\d+\](\[[^]]+\])*"),
    "output": re.compile(r"RESULT(\[[^]]+\])*"),
}


def _is_package(r: Repository) -> bool:
    return r.config.platform == PLATFORM


def _server(r: Repository) -> str:
    return too_old(r.server.version) if _is_package(r) else ""


def _platform(r: Repository) -> str:
    """Without its platform a package is opened as TorchScript."""
    named, files = r.config.default_model_filename, r.files or ()
    packaged = named.endswith(".pt2") if named else any(f.endswith(f"/{PACKAGE}") for f in files)
    scripted = not named and any(f.endswith("/model.pt") for f in files)
    if backend_of(r) != "pytorch" or _is_package(r) or not packaged or scripted:
        return ""
    return f"{named or PACKAGE} is opened as TorchScript; write platform: {PLATFORM}"


def _batch(r: Repository) -> str:
    """Several requests of one execution each get the answers to all of them."""
    if not _is_package(r) or r.config.max_batch_size <= 1:
        return ""
    return (
        f"max_batch_size {r.config.max_batch_size}, and Triton batches no packages yet; write 0, with the "
        "rows as an axis of dims"
    )


def _sequences(r: Repository) -> str:
    if _is_package(r) and r.config.sequence_batching is not None:
        return "sequence_batching is refused of a package; drop it"
    return ""


def _names(r: Repository) -> str:
    """By number, or from 26.05 on as the package's call specification has them."""
    if not _is_package(r):
        return ""
    for kind, tensors in (("input", r.config.input), ("output", r.config.output)):
        for tensor in tensors:
            if wrong := _misnamed(kind, tensor.name, r.server.version):
                return wrong
    numbers = [m[1] for t in r.config.input if (m := ORDINAL["input"].fullmatch(t.name))]
    absent = set(range(len(numbers))) - set(map(int, numbers))
    if absent and len(numbers) == len(r.config.input):
        return (
            f"inputs are numbered {', '.join(numbers)}, without {min(absent)}; number them from 0"
        )
    return ""


def _misnamed(kind: str, name: str, triton: tuple[int, int]) -> str:
    """KWARGS is not among them: the server leaves out the brackets that its own guide writes."""
    known = ORDINAL[kind].fullmatch(name)
    specified = triton >= NAMES_SINCE and SPECIFIED[kind].fullmatch(name)
    if known or specified:
        return ""
    ordinal = f"{kind.upper()}__<number>"
    return f"{kind} {name!r} is no name that Triton {triton[0]}.{triton[1]} finds; write {ordinal}"


def _torch(r: Repository) -> str:
    """The package does not say it to the server, which loads it and may end."""
    return other_torch(r.package.torch, r.server.torch) if r.package else ""


def _device(r: Repository) -> str:
    if r.package is None:
        return ""
    wanted, wrong = "KIND_CPU", "KIND_GPU"
    if r.package.device == "cuda":
        wanted, wrong = wrong, wanted
    if all(group.kind != wrong for group in r.config.instance_group):
        return ""
    return f"the package is for {r.package.device}, the instance_group is {wrong}; write {wanted}"


RULES = (
    Rule(name="AOTI server", check=_server, judged=Judged.ELSEWHERE),
    Rule(name="AOTI platform", check=_platform, judged=Judged.BACKEND),
    Rule(name="AOTI batch", check=_batch, judged=Judged.SILENT),
    Rule(name="AOTI sequences", check=_sequences, judged=Judged.BACKEND),
    Rule(name="AOTI names", check=_names, judged=Judged.BACKEND),
    Rule(name="AOTI torch", check=_torch, judged=Judged.BACKEND),
    Rule(name="AOTI device", check=_device, judged=Judged.BACKEND),
)
