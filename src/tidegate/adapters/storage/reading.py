"""What a published repository says of itself, for the report to compare."""

from tidegate.adapters.storage import stores, trouble
from tidegate.adapters.storage.stores import Store
from tidegate.errors import RejectedError

MOST_CONFIGS = 20
MOST_BYTES = 64 * 1024  # of each: a config.pbtxt is some kilobytes
WITHIN_S = 3.0


def config_texts(uri: str, *, within_s: float = WITHIN_S) -> dict[str, str]:
    """`<model>/config.pbtxt` -> its text, of a published repository; of very many the first ones.

    Raises RejectedError when it cannot be read from here, UnavailableError for storage that does not
    answer, UsageError for an URI that is none.
    """
    with trouble.told(uri):
        store = stores.opened(stores.named(uri), within_s=within_s)
        texts = _texts(store)
    if not texts:
        raise RejectedError(f"{uri} holds no config.pbtxt that can be read from here")
    return texts


def _texts(store: Store) -> dict[str, str]:
    import obstore

    models = sorted(obstore.list_with_delimiter(store)["common_prefixes"])[:MOST_CONFIGS]
    found = {f"{model}/config.pbtxt": _text(store, f"{model}/config.pbtxt") for model in models}
    return {name: text for name, text in found.items() if text}


def _text(store: Store, key: str) -> str:
    """'' for one that is not there."""
    import obstore

    try:
        size = obstore.head(store, key)["size"]
    except FileNotFoundError:
        return ""
    if size == 0:
        return ""
    read = obstore.get_range(store, key, start=0, length=min(size, MOST_BYTES))
    return bytes(read).decode("utf-8", errors="replace")
