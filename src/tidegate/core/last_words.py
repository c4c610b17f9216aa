"""The lines of a log that say why a server ended: Triton's own, else the last ones. Pure.

Triton writes an error as `E1125 23:01:32.799363 11081 model_lifecycle.cc:642] "failed to load ..."`, the
protobuf parser (an unknown field of config.pbtxt) as `[libprotobuf ERROR ...] ...`, the state of each model
as a row of a table, and last `error: creating server: ...`, which says least. Tables of options stand in
between, and after an unknown flag comes the whole usage, so the last lines of the log alone say nothing.
"""

import re
from collections.abc import Sequence

_ERROR = re.compile(r"^E\d{4} [\d:.]+ +\d+ [\w.-]+:\d+\] ?(.*)$")
_PARSER = re.compile(r"^\[libprotobuf ERROR .*?:\d+\] ?(.*)$")
_ROW = re.compile(r"^\| *(\S+) *\| *(\S+) *\| *(UNAVAILABLE: .*?) *\|?$")
_FLAG = re.compile(r"unrecognized option|invalid option|option .* requires an argument")
_END = re.compile(r"^error: .*$")
_NOISE = ("CudaDriverHelper",)
_TABLE = ("|", "+")
LOAD_FAILED = (
    "failed to load",
    "failed to poll",
    "Poll failed",
    "UNAVAILABLE: ",
    "error: creating server",
)
MOST_LINES = 3
MOST_CHARACTERS = 300  # of each


def has_load_failure(lines: Sequence[str]) -> bool:
    """Triton says that a model did not load; not merely that something was unavailable."""
    return any(word in line for line in telling(lines) for word in LOAD_FAILED)


def last_words(lines: Sequence[str]) -> str:
    """One line for a person: up to three telling lines, clipped."""
    return " | ".join(_clipped(line) for line in telling(lines)[-MOST_LINES:])


def _clipped(line: str) -> str:
    """Without the stack that a Python backend puts behind its error, whose newlines Triton escapes."""
    words = " ".join(line.partition("\\n\\nAt:")[0].replace("\\n", " ").split())
    return words if len(words) <= MOST_CHARACTERS else f"{words[:MOST_CHARACTERS]}..."


def telling(lines: Sequence[str]) -> list[str]:
    """The errors, those about a load before others; without any, the models' states, the server's last
    word, or the last line."""
    errors = _found(lines, _ERROR, _PARSER) or [line for line in lines if _FLAG.search(line)]
    if errors:
        loads = [line for line in errors if any(word in line for word in LOAD_FAILED)]
        return [*_found(lines, _PARSER), *loads] or errors
    rows = [f"{m[1]} version {m[2]}: {m[3]}" for line in lines if (m := _ROW.match(line.strip()))]
    plain = [line for line in lines if line.strip() and not line.startswith(_TABLE)]
    return rows or [line for line in lines if _END.match(line)] or plain[-1:]


def _found(lines: Sequence[str], *patterns: re.Pattern[str]) -> list[str]:
    matches = [m[1] for line in lines for p in patterns if (m := p.match(line.strip()))]
    told = [text.strip('"') for text in matches if not any(word in text for word in _NOISE)]
    return list(dict.fromkeys(text for text in told if text))
