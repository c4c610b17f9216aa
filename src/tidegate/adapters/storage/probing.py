"""Whether a place can be used as publish uses it: by trying, with an object that is removed again."""

import uuid

from tidegate.adapters.storage import stores, trouble
from tidegate.core.storage_place import Place
from tidegate.errors import UnavailableError

NAME = ".tidegate-doctor"
WITHIN_S = 3.0


def tried(place: Place, *, within_s: float = WITHIN_S) -> None:
    """List, write, read back and remove one small object; of a claim at its root, for publish makes folders.

    Raises RejectedError when the storage refuses, UnavailableError when it does not answer.
    """
    import obstore

    if place.mounted:
        place = place.at("")
    key = f"{NAME}-{uuid.uuid4().hex}"  # in pods all are process 1
    text = b"written by tidegate doctor\n"
    with trouble.told(place.uri):
        store = stores.opened(place, within_s=within_s)
        obstore.list_with_delimiter(store)
        obstore.put(store, key, text)
        try:
            read = bytes(obstore.get(store, key).bytes())
        finally:
            obstore.delete(store, key)
    if read != text:
        raise UnavailableError(
            f"{place.uri} gives back other bytes than were written; see its proxies"
        )
