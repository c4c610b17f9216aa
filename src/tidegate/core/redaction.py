"""What of a manifest may be shown to everybody who reads a report: all but what its name calls a secret."""

import re
from typing import Any

HIDDEN = "(hidden)"
SECRET = re.compile(
    r"secret|token|passw|credential|api[-_]?key|private[-_]?key|access[-_]?key", re.IGNORECASE
)


def redacted(value: Any) -> Any:
    """The same tree; the literal values of environment variables with a telling name are hidden.

    A `valueFrom` names a Secret without its content, and is shown.
    """
    if isinstance(value, list):
        return [redacted(item) for item in value]
    if not isinstance(value, dict):
        return value
    tells = isinstance(value.get("name"), str) and SECRET.search(value["name"])
    return {
        key: HIDDEN if tells and key == "value" else redacted(item) for key, item in value.items()
    }
