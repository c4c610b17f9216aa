"""What a store answered, as one line and an exit code; never its text, which may hold a signature."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from tidegate.errors import RejectedError, TidegateError, UnavailableError

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_OS_ERROR = re.compile(r"os error (\d+)")
_IDENTITY = re.compile(
    r"169\.254\.|metadata\.google|/computeMetadata/|/metadata/identity|token request"
)
_UNREADABLE = re.compile(r"credential error: Unable to|Error reading pem|Invalid Access Key")
_TRANSIENT = frozenset({408, 409, 425, 429})
_KEY = (
    "its key is no key; correct GOOGLE_SERVICE_ACCOUNT_KEY, GOOGLE_APPLICATION_CREDENTIALS or "
    "AZURE_STORAGE_ACCESS_KEY"
)
_CREDENTIALS = (
    "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS or "
    "AZURE_..., or give the pod's ServiceAccount an identity of the cloud"
)


@contextlib.contextmanager
def told(uri: str) -> Iterator[None]:
    """Raises RejectedError for what the store refuses for good, UnavailableError for what may pass."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise _judged(uri, error) from None  # its text is not to be shown by anybody


def _judged(uri: str, error: Exception) -> TidegateError:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    text = str(error)
    if found := _OS_ERROR.search(text):
        return _disk(uri, int(found[1]))
    if isinstance(error, OSError) and error.errno:
        return _disk(uri, error.errno)
    known = ((_UNREADABLE, _KEY), (_IDENTITY, _CREDENTIALS))
    if said := next((words for pattern, words in known if pattern.search(text)), ""):
        return RejectedError(f"{uri} cannot be asked: {said}")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return _answered(uri, 403, _code(text))
    if isinstance(error, FileNotFoundError):
        return _answered(uri, 404, _code(text))
    if found := _STATUS.search(text):
        return _answered(uri, int(found[1]), _code(text))
    if "redirect without LOCATION" in text:  # as S3 answers for a bucket of another region
        return _answered(uri, 301, "")
    return UnavailableError(f"{uri} does not answer ({_how(text)}); run it again")


def _answered(uri: str, status: int, code: str) -> TidegateError:
    said = f"{status} {code}".strip()
    if status in _TRANSIENT or status >= 500:
        return UnavailableError(f"{uri} answers {said} again and again; run it again")
    if status == 404:
        return RejectedError(
            f"{uri} is not there ({said}); create the bucket or container, or correct the URI"
        )
    if status in (401, 403):
        return RejectedError(
            f"{uri} refuses these credentials ({said}); allow them to list, read, write and delete there"
        )
    return RejectedError(f"{uri} answers {said}; see that endpoint and region are the bucket's own")


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found[1] if found else ""


def _how(text: str) -> str:
    for word, said in (
        ("ConnectionRefused", "connection refused"),
        ("dns error", "no such host"),
        ("ertificate", "its certificate is not trusted"),
        ("Timeout", "timed out"),
        ("TimedOut", "timed out"),
        ("kind: Connect", "no connection"),
    ):
        if word in text:
            return said
    return "the connection broke"


def _disk(uri: str, number: int) -> TidegateError:
    full = number in (errno.ENOSPC, errno.EDQUOT)
    if number in (errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EPIPE):
        return UnavailableError(
            f"{uri} does not answer ({os.strerror(number).lower()}); run it again"
        )
    if number == errno.ENOENT:
        return RejectedError(f"{uri} cannot be read from here: {os.strerror(number)}")
    remedy = "free space" if full else "make it a writable folder"
    return UnavailableError(
        f"cannot use {uri}: {os.strerror(number)}; {remedy} or choose another folder"
    )
