"""Makes one check: what could not be asked, or may not be read, is a finding too."""

from collections.abc import Callable, Iterable, Iterator

from tidegate.config import EXAMPLES, VARIABLES
from tidegate.core import checkup as judged
from tidegate.core.checkup import Check
from tidegate.errors import RejectedError, TidegateError, UnavailableError

ROLE = "let this account read it: role tidegate-doctor of deploy/base"
Made = Check | Iterable[Check]


def made(name: str, make: Callable[[], Made]) -> Iterator[Check]:
    """The findings of one check; what could not be asked or may not be read is UNKNOWN."""
    try:
        found = make()
        yield from [found] if isinstance(found, Check) else list(found)
    except UnavailableError as error:
        yield judged.unknown(name, str(error), "see that it runs and can be reached from here")
    except RejectedError as error:
        yield judged.unknown(name, str(error), ROLE)
    except TidegateError as error:
        said, _, remedy = str(error).partition("; ")
        yield judged.fail(name, said, remedy)


def read_or_none(read: Callable[[], dict[str, object] | None]) -> dict[str, object] | None:
    """None also when it may not be read: the judgement says what that means."""
    try:
        return read()
    except (RejectedError, UnavailableError):
        return None


def unset(name: str, key: str) -> Check:
    """An endpoint that nobody named."""
    return judged.fail(name, f"{VARIABLES[key]} is not set", f"set it to {EXAMPLES[key]}")
