"""What did not hold and decides nothing, but must be told wherever the end of a release is told. Pure."""

from collections.abc import Iterable, Sequence

from tidegate.documents import Finding, TrafficStep, Word

MOST_TOLD = 2


def warnings_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The words of every `severity: warn` objective that did not surely hold; not to know is no good news."""
    return tuple(one.message for one in findings if one.warns and one.word is not Word.PASS)


def warnings_of_steps(steps: Iterable[TrafficStep]) -> tuple[str, ...]:
    """Of live traffic: each objective once, as it stood at the last share where it did not hold."""
    told = {
        one.name: f"{one.message} (at {step.percent} %)"
        for step in steps
        for one in step.findings
        if one.warns and one.word is not Word.PASS
    }
    return tuple(told.values())


def with_warnings(reason: str, warnings: Sequence[str]) -> str:
    """The one line of why, with the first few."""
    if not warnings:
        return reason
    more = f" (and {len(warnings) - MOST_TOLD} more)" if len(warnings) > MOST_TOLD else ""
    return f"{reason}; warning: {'; '.join(warnings[:MOST_TOLD])}{more}"
