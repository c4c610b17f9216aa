"""The promoted releases beside the journal: a second key of its ConfigMap, written in the same PUT."""

import logging
from collections.abc import Mapping

from pydantic import ValidationError

from tidegate.core.history import History
from tidegate.core.journal import Journal
from tidegate.errors import DocumentError

log = logging.getLogger("tidegate")

KEY = "history.json"


def history_of(data: Mapping[str, str], *, what: str) -> History:
    """What is remembered in a journal's ConfigMap. Raises DocumentError when it cannot be read."""
    if KEY not in data:
        return History()
    try:
        return History.model_validate_json(data[KEY])
    except ValidationError as error:
        raise DocumentError(
            f"{what}: {KEY} is no history ({error.error_count()} fields are wrong); remove that key"
        ) from error


def remembering(data: Mapping[str, str], journal: Journal) -> dict[str, str]:
    """The key as it is to be written with this journal. What cannot be read is kept as it is: a memory
    that is spoilt must not keep a release from being ended."""
    try:
        history = history_of(data, what=journal.name).after(journal)
    except (DocumentError, ValidationError, KeyError) as error:
        log.warning("release %s is not remembered: %s", journal.release_id, error)
        return {KEY: data[KEY]} if KEY in data else {}
    return {KEY: history.model_dump_json(indent=1)} if history.promoted else {}
