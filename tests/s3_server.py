"""A server that speaks S3 (moto's), with faults that a test can put before it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Start = Callable[..., Any]
KEY, SECRET = "AKIAOFTHETESTS", "the-secret-of-the-tests"
BUCKET = "models"


@dataclass
class S3:
    """What it was asked, and what it shall answer instead: a fault sees (method, path), says a status."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    signed_by: set[str] = field(default_factory=set)
    fault: Callable[[str, str], int | None] = lambda _method, _path: None
    before: Callable[[str, str], object] = lambda _method, _path: None
    _app: Any = None

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if (
            path.startswith(f"/{BUCKET}")
            and "boto" not in environ.get("HTTP_USER_AGENT", "").lower()
        ):
            self.asked.append((method, path.removeprefix(f"/{BUCKET}").lstrip("/")))
            self.signed_by.add(
                environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
            )
            self.before(method, path)
            if status := self.fault(method, path):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start(f"{status} of the test", [("Content-Type", "application/xml")])
                return [
                    f"<Error><Code>Test{status}</Code><Message>{SECRET}</Message></Error>".encode()
                ]
        answer: Iterable[bytes] = self._app(environ, start)
        return answer

    def puts(self) -> list[str]:
        """The keys that were written."""
        return [path for method, path in self.asked if method == "PUT"]

    def bucket(self) -> Any:
        """Another client's view of it."""
        made = boto3.resource(
            "s3", endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )  # fmt: skip
        return made.Bucket(BUCKET)


class _Quiet(WSGIRequestHandler):  # type: ignore[misc]
    def log_request(self, *_args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[S3]:
    """Until the block ends."""
    s3 = S3(_app=DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, s3, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    s3.url = f"http://127.0.0.1:{server.server_port}"
    try:
        s3.bucket().create()
        yield s3
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def cleaned(s3: S3) -> S3:
    """As new, for the next test."""
    s3.fault, s3.before = (lambda _m, _p: None), (lambda _m, _p: None)
    s3.bucket().objects.all().delete()
    s3.asked.clear()
    s3.signed_by.clear()
    return s3


def point(monkeypatch: pytest.MonkeyPatch, s3: S3) -> None:
    """This process at it, with nothing else of the clouds in its environment."""
    for name in ("S3_ENDPOINT", "S3_USE_HTTPS", "awsAnonymousCredential", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(s3).items():
        monkeypatch.setenv(name, value)


def environment(s3: S3) -> dict[str, str]:
    """As a Secret gives it to a pod."""
    return {
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": s3.url,
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
