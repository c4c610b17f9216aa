"""A transformer or an explainer as a process: what its network would be, in this machine's ports.

All pods of the sandbox share one loopback and there is no cluster DNS, so what a container says of its own
pod (`localhost:8080`, the port and `0.0.0.0` that it listens on) and of its InferenceService's services
(`digits-predictor.default`) is rewritten to where that is here.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.sandbox.interfaces import Program, RevisionSpec

_PORT_FLAG = re.compile(r"--[a-z_-]*port")
_LOCAL = re.compile(r"\b(?:localhost|127\.0\.0\.1):(\d+)\b")
_ALL = re.compile(r"(?<![\w.])0\.0\.0\.0(?![\w.])")  # addresses of the pod: here loopback alone
Address = Callable[[str], str]  # a name in the cluster -> host and port here


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    ports: Mapping[int, int]
    names: re.Pattern[str] | None
    address: Address


def search_path() -> str:
    """Where programs are looked for: this environment's first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def exists(command: Sequence[str]) -> bool:
    """Whether a container's command names a program of this machine; a relative path starts where the
    sandbox was started."""
    return bool(command) and shutil.which(command[0], path=search_path()) is not None


def arguments(
    program: Program, ports: Mapping[int, int], address: Address = lambda name: name
) -> list[str]:
    """Its command line. `ports`: the pod's port -> the one here."""
    found = shutil.which(program.argv[0], path=search_path()) or program.argv[0]
    return [found, *_rewritten(program.argv[1:], _network(program, ports, address))]


def environment(
    spec: RevisionSpec,
    program: Program,
    ports: Mapping[int, int],
    address: Address = lambda name: name,
) -> dict[str, str]:
    """This process's environment, Knative's names, and the container's own on top."""
    network = _network(program, ports, address)
    own = {name: _local(value, network) for name, value in program.env.items()}
    knative = {"K_REVISION": spec.name, "K_SERVICE": spec.service, "K_CONFIGURATION": spec.service}
    return {
        **os.environ,
        **(knative if spec.workload == "Revision" else {}),
        "PATH": search_path(),
        "PYTHONUNBUFFERED": "1",
        **own,
        "PORT": str(ports[program.port]),
    }


def _network(program: Program, ports: Mapping[int, int], address: Address) -> _Network:
    """`<service>.<namespace>`, with or without `.svc.cluster.local` and port 80, and nothing longer."""
    known = "|".join(re.escape(name) for name in program.reaches)
    after = r"(?:\.svc(?:\.cluster\.local)?)?(?::80)?(?![\w.:-])"
    names = re.compile(rf"(?<![\w.-])({known}){after}") if known else None
    return _Network(ports=ports, names=names, address=address)


def _rewritten(words: Sequence[str], network: _Network) -> Iterator[str]:
    is_port = False
    for word in words:
        flag, equals, value = word.partition("=")
        if equals and _PORT_FLAG.fullmatch(flag):
            yield f"{flag}={_port(value, network.ports)}"
        else:
            yield _port(word, network.ports) if is_port else _local(word, network)
        is_port = not equals and _PORT_FLAG.fullmatch(word) is not None


def _port(text: str, ports: Mapping[int, int]) -> str:
    return str(ports.get(int(text), text)) if text.isdecimal() else text


def _local(text: str, network: _Network) -> str:
    ports = network.ports
    here = _LOCAL.sub(
        lambda m: f"127.0.0.1:{ports.get(int(m[1]), m[1])}", _ALL.sub("127.0.0.1", text)
    )
    return network.names.sub(lambda m: network.address(m[1]), here) if network.names else here
