"""A deep copy of JSON values, at the speed of C. Pure.

`copy.deepcopy` takes thirty times as long, for it tracks shared parts; the controllers copy all the time.
"""

import marshal
from typing import Any, TypeVar, cast

T = TypeVar("T")

_PLAIN = 2  # the newest version of the format that writes a shared part out each time


def copied(value: T) -> T:
    """The same value, sharing no object or list with the original; plain JSON types alone."""
    result: T = marshal.loads(marshal.dumps(cast("Any", value), _PLAIN))  # noqa: S302 - what this process wrote
    return result
