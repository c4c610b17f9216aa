"""What Argo writes within text: references, conditions of tasks, and outputs chosen by an expression.

As much of it as our own documents use; anything else is refused, never guessed. Pure.
Sources: Argo's fasttemplate references; `when` by govaluate, bare words; `valueFrom.expression` by expr.
"""

import re
from collections.abc import Mapping

from tidegate.errors import DocumentError

Scope = Mapping[str, str]  # reference -> its value

REFERENCE = re.compile(r"\{\{([^{}]+)\}\}")
COMPARISON = re.compile(r"^(\S*) (==|!=) (\S+)$")
CHOICE = re.compile(r"^(?P<condition>[^?]+) \? (?P<yes>[^?:]+) : (?P<no>[^?:]+)$")


def filled(text: str, scope: Scope) -> str:
    """The text with each reference replaced. Raises DocumentError for one that is not known."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in scope:
            raise DocumentError(f"{{{{{found[1]}}}}} is not known here; known: {', '.join(scope)}")
        return scope[found[1]]

    return REFERENCE.sub(value, text)


def holds(when: str, scope: Scope) -> bool:
    """Whether a task runs: `WORD == WORD && WORD != WORD`, each side a word or a reference."""
    return all(_compared(one, scope) for one in when.split(" && "))


def _compared(text: str, scope: Scope) -> bool:
    found = COMPARISON.match(text)
    if found is None:
        raise DocumentError(f"when {text!r} cannot be read; write WORD == WORD")
    same = filled(found[1], scope) == filled(found[3], scope)
    return same if found[2] == "==" else not same


def chosen(expression: str, scope: Scope) -> str:
    """`CONDITION ? VALUE : VALUE`; only the one that is chosen has to be known."""
    found = CHOICE.match(expression)
    if found is None:
        raise DocumentError(f"expression {expression!r} cannot be read; write CONDITION ? A : B")
    pairs = [one.partition(" == ") for one in found["condition"].split(" && ")]
    yes = all(_value(left, scope) == _value(right, scope) for left, _, right in pairs)
    return _value(found["yes"] if yes else found["no"], scope)


def _value(text: str, scope: Scope) -> str:
    """A quoted word, or a reference without its braces."""
    if literal := re.match(r"^'([^']*)'$", text):
        return literal[1]
    reference = re.sub(r"\['([-\w]+)'\]", r".\1", text)
    return filled("{{" + reference + "}}", scope)


def tried_again(expression: str, code: int) -> bool:
    """`asInt(lastRetry.exitCode) == N`."""
    found = re.match(r"^asInt\(lastRetry\.exitCode\) == (\d+)$", expression)
    if found is None:
        raise DocumentError(f"retryStrategy.expression {expression!r} cannot be read")
    return int(found[1]) == code


def seconds(duration: str) -> float:
    """`30`, `30s`, `10m`, `2h`."""
    found = re.match(r"^(\d+)(s|m|h)?$", duration)
    if found is None:
        raise DocumentError(f"duration {duration!r} cannot be read; write e.g. 30s")
    return int(found[1]) * {None: 1, "s": 1, "m": 60, "h": 3600}[found[2]]
