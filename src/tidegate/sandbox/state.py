"""The state folder of a sandbox: who holds it, what runs, where everything is.

state.json is what `up`, `status` and `down` of other processes read; the lock says whether its
writer lives. Neither is trusted alone: a pid counts only with its creation time.
"""

import contextlib
import errno
import fcntl
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from tidegate.errors import ConflictError, TidegateError, UnavailableError, UsageError

FORMAT = 1
Phase = Literal["Starting", "Ready", "Failed", "Stopped"]
Mode = Literal["Knative", "Standard"]  # the default of the cluster; an object may say otherwise
REMEDY = "run `tidegate sandbox down`, then `up` again"


@dataclass(slots=True, kw_only=True)
class Part:
    """One row of `status`: a process, or a service inside the supervisor."""

    name: str
    state: str  # Starting, Running, DEAD, or a revision's phase
    pid: int = 0
    create_time: float = 0.0
    ports: dict[str, int] = field(default_factory=dict)
    since: float = 0.0
    log: str = ""
    detail: str = ""  # the last log lines of a dead part


@dataclass(slots=True, kw_only=True)
class State:
    """What state.json says."""

    format: int = FORMAT
    tidegate: str
    sandbox_id: str
    phase: Phase
    pid: int
    create_time: float
    since: float
    parts: list[Part] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    message: str = ""
    exit_code: int = 0
    mode: Mode = "Knative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The supervisor of a sandbox, as the lock names it: enough to end it without its state."""

    pid: int
    create_time: float
    sandbox_id: str


class StateDirectory:
    """Paths of a sandbox, its lock and its documents."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self._lock: IO[bytes] | None = None

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.root / "logs"

    @property
    def kubeconfig(self) -> Path:
        """For kubectl and the clients."""
        return self.root / "kubeconfig"

    @property
    def env_file(self) -> Path:
        """`source` it, and every tool finds the sandbox."""
        return self.root / "env"

    @property
    def storage(self) -> Path:
        """Where published model repositories go."""
        return self.root / "storage"

    def create(self) -> None:
        """Make the folders; one line when that is not allowed or the disk is full."""
        with explained(self.root):
            for folder in (self.root, self.logs, self.storage):
                folder.mkdir(parents=True, exist_ok=True)

    def acquire(self, holder: "Holder") -> None:
        """Take the lock for this process's life; ConflictError when another holds it."""
        with explained(self.root):
            lock = (self.root / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise ConflictError(f"another sandbox holds {self.root}; {REMEDY}") from error
        self._lock = lock
        with explained(self.root):
            lock.truncate(0)
            lock.write(json.dumps(asdict(holder)).encode())
            lock.flush()

    def holder(self) -> "Holder | None":
        """Who took the lock last, whatever its version; None when nobody ever did."""
        try:
            return Holder(**json.loads((self.root / "lock").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def forget_unreadable(self) -> None:
        """Remove a state.json that no living supervisor will repair."""
        try:
            self.read()
        except ConflictError:
            (self.root / "state.json").unlink(missing_ok=True)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def is_held(self) -> bool:
        """Whether a living supervisor holds the folder."""
        try:
            with (self.root / "lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def read(self) -> State | None:
        """The last state; None when there is none; ConflictError for another format."""
        try:
            document = json.loads((self.root / "state.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise ConflictError(
                f"{self.root}/state.json is unreadable ({error}); {REMEDY}"
            ) from error
        return _state(document, self.root)

    def write(self, state: State) -> None:
        """Replace state.json whole."""
        self._replace(self.root / "state.json", json.dumps(asdict(state), indent=1))

    def write_environment(self, environment: Mapping[str, str]) -> None:
        """The exports as a shell file."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
        self._replace(self.env_file, "".join(lines))

    def _replace(self, path: Path, text: str) -> None:
        with explained(self.root):
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_text(text)
            temporary.replace(path)


@contextlib.contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn what a disk says into one line that says what to do."""
    try:
        yield
    except OSError as error:
        raise explanation(error, root) from error


def explanation(error: OSError, root: Path) -> TidegateError:
    """The one line for an OSError about the state folder."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(f"no space left on the disk of {root}; free some and try again")
    reason = error.strerror or str(error)
    return UsageError(f"{root} cannot hold a sandbox: {reason}; pass another --state")


def _state(document: Any, root: Path) -> State:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConflictError(f"{root} is of another tidegate version; {REMEDY}")
    try:
        parts = [Part(**part) for part in document.pop("parts")]
        return State(**document, parts=parts)
    except (KeyError, TypeError) as error:
        raise ConflictError(f"{root}/state.json is unreadable ({error}); {REMEDY}") from error
