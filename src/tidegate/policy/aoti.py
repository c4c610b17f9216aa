"""How an AOTInductor package is compiled. https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html"""

from typing import Literal

from pydantic import Field

from tidegate.policy.section import Section


class Aoti(Section):
    """The compilation, for optimize.target aoti."""

    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Where it runs; cuda is compiled on a GPU, for GPUs of that kind"
    )
    cpu: Literal["avx2", "avx512", "native"] = Field(
        default="avx2",
        description="Instructions that it may hold: those of any x86-64 server since 2015, AVX-512 too, or "
        "all of the machine that optimize runs on. A CPU without them ends the server",
    )
    reuse: bool = Field(
        default=True,
        description="Take the package of an earlier build of the same program, torch, compiler and machine "
        "from TIDEGATE_AOTI_CACHE",
    )
    compile_timeout_s: float = Field(
        default=900, gt=0, description="Longest compilation, after which it is ended"
    )
