"""The words a release can say, and how it can end."""

from enum import StrEnum


class Word(StrEnum):
    """The words a release can say. Only PASS promotes."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    UNCHANGED = "UNCHANGED"


SEVERITY = (Word.PASS, Word.UNCHANGED, Word.INCONCLUSIVE, Word.INVALID, Word.FAIL)


def worst(*words: Word) -> Word:
    """The most severe word, PASS < UNCHANGED < INCONCLUSIVE < INVALID < FAIL; of nothing INCONCLUSIVE."""
    return max(words, key=SEVERITY.index, default=Word.INCONCLUSIVE)


class Result(StrEnum):
    """How a release ended."""

    PROMOTED = "PROMOTED"
    ROLLED_BACK = "ROLLED_BACK"  # the candidate had been staged and is gone again
    REJECTED = "REJECTED"  # refused before the cluster was touched
    UNCHANGED = "UNCHANGED"  # this very version is already in production
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    DIED = "DIED"  # the run broke; the guard returned the traffic
    ABORTED = "ABORTED"  # a person ended it, and the traffic was returned
