"""A collocated transformer as a process: what its pod's network would be, in this machine's ports.

All pods of the sandbox share one loopback, so what a container says of its own pod (`localhost:8080`, the
port that it listens on) is rewritten to where that is here.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tidegate.sandbox.interfaces import Program, RevisionSpec

_PORT_FLAG = re.compile(r"--[a-z_-]*port")
_LOCAL = re.compile(r"\b(?:localhost|127\.0\.0\.1):(\d+)\b")


def search_path() -> str:
    """Where programs are looked for: this environment's first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def exists(command: Sequence[str]) -> bool:
    """Whether a container's command names a program of this machine; a relative path starts where the
    sandbox was started."""
    return bool(command) and shutil.which(command[0], path=search_path()) is not None


def arguments(program: Program, ports: Mapping[int, int]) -> list[str]:
    """Its command line. `ports`: the pod's port -> the one here."""
    found = shutil.which(program.argv[0], path=search_path()) or program.argv[0]
    return [found, *_rewritten(program.argv[1:], ports)]


def environment(spec: RevisionSpec, program: Program, ports: Mapping[int, int]) -> dict[str, str]:
    """This process's environment, Knative's names, and the container's own on top."""
    own = {name: _local(value, ports) for name, value in program.env.items()}
    knative = {"K_REVISION": spec.name, "K_SERVICE": spec.service, "K_CONFIGURATION": spec.service}
    return {
        **os.environ,
        **(knative if spec.workload == "Revision" else {}),
        "PATH": search_path(),
        "PYTHONUNBUFFERED": "1",
        **own,
        "PORT": str(ports[program.port]),
    }


def _rewritten(words: Sequence[str], ports: Mapping[int, int]) -> Iterator[str]:
    is_port = False
    for word in words:
        flag, equals, value = word.partition("=")
        if equals and _PORT_FLAG.fullmatch(flag):
            yield f"{flag}={_port(value, ports)}"
        else:
            yield _port(word, ports) if is_port else _local(word, ports)
        is_port = not equals and _PORT_FLAG.fullmatch(word) is not None


def _port(text: str, ports: Mapping[int, int]) -> str:
    return str(ports.get(int(text), text)) if text.isdecimal() else text


def _local(text: str, ports: Mapping[int, int]) -> str:
    return _LOCAL.sub(lambda m: f"127.0.0.1:{ports.get(int(m[1]), m[1])}", text)
