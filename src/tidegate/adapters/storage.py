"""Where published model repositories lie: immutable folders named by digest, complete or not there.

Only `file:` so far. The marker is a file inside the folder, written last: a folder beside the model
would be taken for a model by the server. It is not empty, because initializers skip empty files.
"""

import json
import shutil
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from tidegate.adapters import trees
from tidegate.errors import ConflictError, RejectedError, UsageError

MARKER = "tidegate-published.json"
NOT_BUILT = (
    "s3",
    "gs",
    "az",
    "abfs",
    "wasbs",
    "https",
    "pvc",
)  # storage that KServe knows, and publish does not


def publish(tree: Path, digest: str, *, parent: str, path: str) -> tuple[str, bool]:
    """Copy a tree to `<parent>/<path>/` unless it lies there; (URI ending in `/`, whether copied).

    Raises ConflictError when the place holds something else, UnavailableError for a full disk.
    """
    target = local_folder(parent) / path
    uri = f"file://{quote(str(target))}/"
    if _is_published(target, digest, uri):
        return uri, False
    with trees.building(target) as temporary:
        shutil.copytree(tree, temporary, dirs_exist_ok=True)
        found = trees.digest_of(trees.files_of(temporary))
        if found != digest:
            raise ConflictError(f"{tree} changed while it was copied; run publish again")
        text = json.dumps({"digest": digest}, indent=2) + "\n"
        (temporary / MARKER).write_text(text, encoding="utf-8")
    return uri, True


def local_folder(uri: str) -> Path:
    """The folder of a file: URI; other schemes are refused in one line."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return Path(unquote(parts.path))
    if parts.scheme in NOT_BUILT:
        raise UsageError(
            f"TIDEGATE_STORAGE_URI {uri}: {parts.scheme}: is not built yet; use file:///..."
        )
    raise UsageError(f"TIDEGATE_STORAGE_URI {uri!r} is no storage; write file:///path of a folder")


def _is_published(target: Path, digest: str, uri: str) -> bool:
    """Whether the very content lies there; a folder without its marker was never finished."""
    if not (target / MARKER).is_file():
        return False
    content = tuple(f for f in trees.files_of(target) if f.path != MARKER)
    found = trees.digest_of(content)
    if found != digest:
        raise ConflictError(
            f"{uri} was changed after it was published (digest {found[:19]}, not {digest[:19]}); "
            "move it away and publish again"
        )
    return True


MOST_CONFIGS = 20
MOST_BYTES = 64 * 1024  # of each: a config.pbtxt is some kilobytes


def config_texts(uri: str) -> dict[str, str]:
    """`<model>/config.pbtxt` -> its text, of a published repository; of very many the first ones.

    Raises RejectedError when it cannot be read from here, UsageError for storage that is not built yet.
    """
    folder = local_folder(uri)
    try:
        found = sorted(folder.glob("*/config.pbtxt"))[:MOST_CONFIGS]
        texts = {str(path.relative_to(folder)): path.read_bytes()[:MOST_BYTES] for path in found}
    except OSError as error:
        raise RejectedError(f"{uri} cannot be read from here: {error.strerror}") from error
    if not texts:
        raise RejectedError(f"{uri} holds no config.pbtxt that can be read from here")
    return {name: text.decode("utf-8", errors="replace") for name, text in texts.items()}
