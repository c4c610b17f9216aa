"""One container of a revision's pod, as a process: started, probed, and what it said when it ended."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from tidegate.errors import TidegateError
from tidegate.sandbox.process import Child

_ERROR = re.compile(r"E\d{4} |error: |.*(unrecognized|[Uu]sage:)")
_LINES = 12


@dataclass(slots=True, kw_only=True)
class Container:
    """A container; `name` is empty for the model's."""

    name: str
    spawn: Callable[[], Child]
    url: Callable[[], str]  # answers when it can serve
    any_answer: bool = False  # whatever it answers will do: it takes connections
    child: Child | None = None
    refused: str = ""  # why the kernel did not start it
    answered: bool = False

    @property
    def is_alive(self) -> bool:
        """Started and not ended."""
        return self.child is not None and self.child.is_alive

    def ensure(self) -> None:
        """Start it unless it runs."""
        if self.is_alive:
            return
        self.child, self.refused, self.answered = None, "", False
        try:
            self.child = self.spawn()
        except (OSError, TidegateError) as error:
            self.refused = str(error)

    @property
    def exit_code(self) -> int | None:
        """Its own, or 128, as a container runtime says of one that cannot be started."""
        if self.refused:
            return 128
        return self.child.exit_code if self.child else None

    def look(self, client: httpx.Client) -> bool:
        """Whether it has answered since it was started."""
        self.answered = self.answered or answers(client, self.url(), any_answer=self.any_answer)
        return self.answered

    def last_words(self) -> str:
        """Why it ended: Triton's errors, or the last lines of another program."""
        if self.refused:
            return self.refused
        lines = self.child.last_lines(400) if self.child else []
        return "\n".join(lines[-_LINES:] if self.name else telling(lines))


def answers(client: httpx.Client, url: str, *, any_answer: bool = False) -> bool:
    """Whether the URL answers now, with 200 unless any answer will do."""
    try:
        return client.get(url).status_code == 200 or any_answer
    except httpx.HTTPError:
        return False


def telling(lines: Sequence[str], count: int = _LINES) -> list[str]:
    """The lines that say why Triton ended: its errors, or the last ones without the tables."""
    errors = [line for line in lines if _ERROR.match(line) and "CudaDriverHelper" not in line]
    return (errors or [line for line in lines if not line.startswith(("|", "+"))])[-count:]
