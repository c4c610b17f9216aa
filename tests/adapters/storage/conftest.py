"""One S3 server for the session, empty for every test, and a repository to publish."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3_server
from tests.s3_server import S3


@pytest.fixture(scope="session")
def s3_of_the_session() -> Iterator[S3]:
    with s3_server.serving() as s3:
        yield s3


@pytest.fixture
def s3(s3_of_the_session: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    s3_server.point(monkeypatch, s3_of_the_session)
    return s3_server.cleaned(s3_of_the_session)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "digits" / "3").mkdir(parents=True)
    (root / "digits" / "config.pbtxt").write_text('name: "digits"')
    (root / "digits" / "3" / "model.onnx").write_bytes(b"graph")
    return root
