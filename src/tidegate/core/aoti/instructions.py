"""Which CPU instructions a package may hold, and what that asks of the machines around it.

`avx2` and `avx512` are the levels 3 and 4 of the x86-64 psABI, which compilers and Kubernetes' node labels
both know; torch itself compiles for the machine that it is on. A CPU without one of them ends the server with
SIGILL at the first request, and no server looks before.
"""

from dataclasses import dataclass
from typing import Literal

Level = Literal["avx2", "avx512", "native"]
X86 = ("x86_64", "amd64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """A machine: its architecture, and the flags of its /proc/cpuinfo."""

    machine: str
    flags: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the compilers are told: GCC's -march, and the width of vectors in bits."""

    march: str
    bits: int
    needs: tuple[str, ...]


# GCC 12, gcc.gnu.org/onlinedocs/gcc/x86-Options.html; the flags are Linux' names of what decides.
LEVELS: dict[str, Target] = {
    "avx2": Target(march="x86-64-v3", bits=256, needs=("avx2", "fma", "bmi2", "f16c")),
    "avx512": Target(
        march="x86-64-v4",
        bits=512,
        needs=("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"),
    ),
}


def not_here(level: Level, cpu: Cpu) -> str:
    """Why a package of this level cannot be compiled and tried on this machine; '' where it can."""
    if level == "native":
        return ""
    if cpu.machine not in X86:
        return f"optimize.aoti.cpu {level} is of x86-64, this machine is {cpu.machine}; write cpu: native"
    lacking = [flag for flag in LEVELS[level].needs if flag not in cpu.flags]
    if not lacking:
        return ""
    return (
        f"optimize.aoti.cpu {level}: this machine's CPU has no {lacking[0]}, so parity could not be asked; "
        "run optimize on one that has it, or write a lower level"
    )


def otherwise(level: str, vectors: str) -> str:
    """Why a package of this level holds other vectors than it says; '' where it does not, or says all.

    `vectors` is torch's own word. Told a width alone, torch takes the most that this machine has of it: VNNI
    and AMX count as 512 bits (torch/_inductor/cpu_vec_isa.py, pick_vec_isa, 2.13).
    """
    if level in ("native", vectors):
        return ""
    return (
        f"is compiled for {vectors or 'unknown vectors'} on this machine, and optimize.aoti.cpu says "
        f"{level}; run optimize on another one, or write another level (avx2, native)"
    )


def told(level: str, vectors: str) -> str:
    """What the serving machines must have, for people; '' where every x86-64 server has it."""
    if level == "avx2":
        return ""
    what, label = "AVX-512", "cpu-cpuid.AVX512F"
    if level == "native":
        what, label = (
            "exactly the machine that optimize ran on",
            "cpu-model.id and cpu-model.family",
        )
    where = (
        f"serve on such nodes (serving.placement.node_selector, feature.node.kubernetes.io/{label}), "
        "or write optimize.aoti.cpu: avx2"
    )
    return (
        f"the package is compiled for {what} ({vectors}): another CPU ends the server with SIGILL; "
        f"{where}"
    )
