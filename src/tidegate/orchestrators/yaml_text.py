"""The text of a drawing that was read and changed: as plain as it was, with what its head says."""

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

import yaml


class _Plain(yaml.SafeDumper):
    """Writes what is said twice twice: no anchors."""

    def ignore_aliases(self, _data: object) -> bool:
        """Never an alias."""
        return True


def written(documents: Iterable[Any], *, before: str = "") -> str:
    """The documents, below the comments that `before` began with."""
    head = "".join(takewhile(lambda line: line.startswith("#"), before.splitlines(keepends=True)))
    return head + yaml.dump_all(documents, Dumper=_Plain, sort_keys=False)
