"""Publishing to Azure, on Microsoft's own emulator where it is installed (`make test-azure` installs it)."""

import os
import shutil
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from email.utils import formatdate
from hashlib import sha256
from hmac import digest as hmac
from pathlib import Path

import httpx
import pytest

from tidegate.adapters import trees
from tidegate.adapters.storage import objects
from tidegate.adapters.storage.publishing import publish as upload
from tidegate.adapters.storage.reading import config_texts
from tidegate.core.storage_place import place_of
from tidegate.errors import ConflictError
from tidegate.sandbox.ports import free_port

INSTALLED = Path(__file__).parents[3] / ".tidegate/azurite/node_modules/.bin/azurite-blob"
AZURITE = shutil.which("azurite-blob") or (str(INSTALLED) if INSTALLED.exists() else "")
pytestmark = pytest.mark.skipif(not AZURITE, reason="no azurite-blob; make test-azure installs it")
# The emulator's one account, which everybody knows.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
PARENT = f"https://{ACCOUNT}.blob.core.windows.net/models/tidegate"


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("azurite")
    argv = [AZURITE, "--blobPort", str(port), "--blobHost", "127.0.0.1", "--location", str(folder)]
    server = subprocess.Popen([*argv, "--silent", "--disableTelemetry", "--skipApiVersionCheck"])
    url = f"http://127.0.0.1:{port}"
    try:
        _make_container(url)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


def _make_container(url: str) -> None:
    """With Azure's shared key, as the service's documentation has it."""
    date = formatdate(usegmt=True)
    lines = ["PUT", *[""] * 11, f"x-ms-date:{date}", "x-ms-version:2021-08-06"]
    text = "\n".join([*lines, f"/{ACCOUNT}/{ACCOUNT}/models", "restype:container"])
    signed = b64encode(hmac(b64decode(KEY), text.encode(), sha256)).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2021-08-06",
        "Authorization": f"SharedKey {ACCOUNT}:{signed}",
    }
    for _ in range(100):
        try:
            made = httpx.put(f"{url}/{ACCOUNT}/models?restype=container", headers=headers)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        assert made.status_code == 201, made.text
        return
    pytest.fail("azurite did not start")


@pytest.fixture(autouse=True)
def environment(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", azurite)


def publish(tree: Path, path: str) -> tuple[str, bool]:
    digest = trees.digest_of(trees.files_of(tree))
    return upload(tree, digest, parent=PARENT, path=path, within_s=5)


def test_a_container_is_published_to_once_and_read_back(tree: Path) -> None:
    (tree / "digits" / "3" / "model.onnx").write_bytes(os.urandom(objects.PART + 1))
    uri, uploaded = publish(tree, "digits/1-a")
    assert (uri, uploaded) == (f"{PARENT}/digits/1-a/", True)
    assert publish(tree, "digits/1-a") == (uri, False)
    assert config_texts(uri) == {"digits/config.pbtxt": 'name: "digits"'}


def test_what_was_changed_there_is_a_conflict(tree: Path) -> None:
    import obstore

    from tidegate.adapters.storage.stores import opened

    publish(tree, "digits/2-b")
    store = opened(place_of(PARENT), within_s=5)
    obstore.put(store, "digits/2-b/digits/3/model.onnx", b"grapH")
    with pytest.raises(ConflictError, match=r"was changed after it was published"):
        publish(tree, "digits/2-b")
    obstore.put(store, "digits/2-b/digits/3/model.onnx", b"graph")
    assert not publish(tree, "digits/2-b")[1], "the same bytes under another ETag"
