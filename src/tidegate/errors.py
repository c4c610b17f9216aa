"""Every error that ends a command, with its exit code; a traceback means a bug, never bad input.

TidegateError
|- UsageError           2   flags, environment, missing system package or extra
|- DocumentError        3   a policy or a step's document is invalid, or speaks about something else
|- ConflictError        4   the world moved: alias re-pointed, another release running, foreign edit
|- RejectedError        5   an outside system said no for good (403, 404, 422, a model that does not load)
|- RollbackFailedError  6   production could not be returned to the incumbent: page somebody
|- NotPromotedError     7   the release ended without promotion; the roll-back is done
`- UnavailableError    75   try again (EX_TEMPFAIL): timeouts, 429, 5xx, connection refused, full disk
"""

from typing import ClassVar


class TidegateError(Exception):
    """Message = what is wrong with which value, then `; ` and what to do. One line."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """The message on one line, whatever an outside system put into it."""
        return " ".join(super().__str__().split())


class UsageError(TidegateError):
    """Flags or environment are wrong, or something that must be installed is missing."""

    exit_code = 2


class DocumentError(TidegateError):
    """A policy or a document is invalid, or is about another model."""

    exit_code = 3


class ConflictError(TidegateError):
    """Somebody else changed what this release relies on."""

    exit_code = 4


class RejectedError(TidegateError):
    """An outside system refused for good; trying again would not help."""

    exit_code = 5


class RollbackFailedError(TidegateError):
    """Traffic may still be on a bad model; the message names the manual command."""

    exit_code = 6


class NotPromotedError(TidegateError):
    """The release did its job and ended without promotion."""

    exit_code = 7


class UnavailableError(TidegateError):
    """An outside system could not be asked; the same call may succeed later."""

    exit_code = 75
