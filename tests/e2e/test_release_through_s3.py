"""A release through a bucket: publish writes it, and the initializer of each revision reads it."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests import s3_server
from tests.e2e.conftest import Home
from tests.e2e.test_release import Production, shares, source_of
from tests.s3_server import BUCKET, S3

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """For the steps, which are processes, and for the sandbox's initializer, which is in this one."""
    with s3_server.serving() as one:
        s3_server.point(monkeypatch, one)
        yield one


def test_a_version_is_released_from_a_bucket_and_the_next_one_after_it(
    home: Home, s3: S3, variant: Callable[..., Path]
) -> None:
    errors_alone = variant(slo={"objectives": [{"kind": "errors", "limit": 0.05}]})
    home.environment.update(
        s3_server.environment(s3), TIDEGATE_STORAGE_URI=f"s3://{BUCKET}/tidegate"
    )
    for version in ("1", "2"):
        # The next one is judged by the requests of production, which the first one has none of.
        with Production(home) if version == "2" else nullcontext():
            done = home.release(f"models:/tiny/{version}", errors_alone)
        assert done.returncode == 0, done.stderr
        assert s3_server.SECRET not in done.stderr + done.stdout
        (serving,) = shares(home)
        assert source_of(serving).startswith(f"s3://{BUCKET}/tidegate/tiny/{version}-")
        assert source_of(serving).endswith("/")
    marks = [one.key for one in s3.bucket().objects.all() if one.key.endswith("published.json")]
    assert len(marks) == 2
