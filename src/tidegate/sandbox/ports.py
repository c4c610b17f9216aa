"""Free loopback ports, and the one line said when a wanted port is taken."""

import os
import random
import socket
import threading
from collections import deque

from tidegate.errors import UsageError

# Below the kernel's ephemeral range (32768..60999): a client's outgoing connection can never sit on
# the port of a server that is being restarted.
_RANGE = range(18000, 32000)
_MOST_HELD = 256  # a process may usually have 1024 files open
_handed_out: set[int] = set()
_held: deque[int] = deque()
_lock = threading.Lock()


def free_port() -> int:
    """A loopback port for a server that sets SO_REUSEADDR, as servers do.

    This process has not handed it out before, and no other process is given it: it is held.
    """
    with _lock:
        for port in random.sample(_RANGE, k=500):
            if port not in _handed_out and _hold(port):
                _handed_out.add(port)
                return port
    raise UsageError("no free loopback port between 18000 and 32000; end some servers")


def _hold(port: int) -> bool:
    """Bind the port; False when anybody else has it, if only for a server that is about to listen.

    Linux refuses a bound port to whoever binds without SO_REUSEADDR, as is done here, and lets a
    server that sets it listen there once the holder has set it, too. The newest are held.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return False
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(taken.detach())
    if len(_held) > _MOST_HELD:
        os.close(_held.popleft())
    return True


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT is free for a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wanted_or_free(port: int | None, *, flag: str) -> int:
    """The port that was asked for if it is free, any free one when none was asked for."""
    if port is None:
        return free_port()
    if not 1 <= port <= 65535:
        raise UsageError(f"{flag} {port}: not a port number; use 1 to 65535")
    if not is_free(port):
        raise UsageError(f"{flag} {port}: the port is in use on 127.0.0.1; leave the flag out")
    return port
