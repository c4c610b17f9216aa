"""Opens a bucket, a mounted claim or a folder as an object store, with the credentials that are there.

obstore reads the clouds' own variables, and asks the pod's identity (IRSA, EKS pod identity, GKE and Azure
workload identity, instance metadata) where there are none. What KServe sets beside them from a Secret's
annotations (kserve pkg/credentials/s3/s3_secret.go) is read here, so that one Secret serves both.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tidegate.config import Settings, settings
from tidegate.core.storage_place import Place, mounts_of, place_of
from tidegate.errors import RejectedError, UsageError

REQUEST_S = 120.0  # one request, of which the largest carries one part of an upload
_NO = frozenset({"0", "false", "no"})
_YES = frozenset({"1", "true", "yes"})
Store = Any  # one of obstore's; a union of them is not what obstore's own functions take


def named(uri: str) -> Place:
    """The place that an URI names here. Raises UsageError."""
    return place_of(uri, mounts_of(settings().claim_mounts))


def opened(place: Place, *, within_s: float, making: bool = False, cleaning: bool = False) -> Store:
    """The store whose root is the place; each request is tried again for at most `within_s`.

    Nothing is asked yet. A folder is made if `making`, and gone with its last file if `cleaning`. Raises
    UsageError for settings that cannot be meant, RejectedError for a folder that is not there.
    """
    from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

    if (
        place.mounted and not Path(place.mounted).is_dir()
    ):  # else it would be made, within the container
        raise RejectedError(
            f"claim {place.holder} is not mounted at {place.mounted}; mount it, or correct "
            "TIDEGATE_CLAIM_MOUNTS"
        )
    if place.folder and not making and not Path(place.folder).is_dir():
        raise RejectedError(f"{place.uri} is no folder here; mount it, or correct the URI")
    if place.folder:
        return LocalStore(place.folder, mkdir=making, automatic_cleanup=cleaning)
    told: dict[str, Any] = {"prefix": place.path or None, "retry_config": _retries(within_s)}
    client: Any = {
        "allow_http": True,
        "timeout": timedelta(seconds=min(REQUEST_S, max(within_s, 5))),
    }
    if place.scheme == "s3":
        config, more = _s3(place.holder, settings())
        return S3Store(place.holder, client_options=client | more, **config, **told)
    if place.scheme == "gs":
        return GCSStore(place.holder, client_options=client, **told)
    return AzureStore(place.holder, account_name=place.account, client_options=client, **told)


def _retries(within_s: float) -> dict[str, Any]:
    """With jitter, until the deadline alone ends it."""
    backoff = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=10)}
    return {
        "max_retries": 1000,
        "retry_timeout": timedelta(seconds=within_s),
        "backoff": backoff | {"base": 2},
    }


def _s3(bucket: str, given: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what S3Store is told, what its HTTP client is told), for what obstore does not read itself."""
    # Each part's own sum is checked by the server, whatever lies between.
    config: dict[str, Any] = {"checksum_algorithm": "SHA256"}
    if endpoint := _endpoint(bucket, given):
        config["endpoint"] = endpoint
    if given.s3_virtual_bucket.lower() in _YES:
        config["virtual_hosted_style_request"] = True
    if given.s3_anonymous.lower() in _YES:
        config["skip_signature"] = True
    client: Any = {}
    if given.s3_verify_ssl.lower() in _NO:
        client["allow_invalid_certificates"] = True
    if given.aws_ca_bundle:
        client["root_certificate"] = _certificates(given.aws_ca_bundle)
    return config, client


def _endpoint(bucket: str, given: Settings) -> str:
    """AWS_ENDPOINT_URL, or KServe's S3_ENDPOINT and S3_USE_HTTPS; with virtual buckets, their own host."""
    url = given.aws_endpoint_url
    if not url and given.s3_endpoint:
        url = f"{'http' if given.s3_use_https.lower() in _NO else 'https'}://{given.s3_endpoint}"
    if not url:
        return ""
    if not _is_endpoint(url):
        raise UsageError(
            "AWS_ENDPOINT_URL or S3_ENDPOINT is no endpoint; write http(s)://HOST:PORT, "
            "or for S3_ENDPOINT HOST:PORT"
        )
    parts = urlsplit(url)
    if given.s3_virtual_bucket.lower() in _YES:
        return f"{parts.scheme}://{bucket}.{parts.netloc}"
    return url.rstrip("/")


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # obstore panics at one beyond 65535
    except ValueError:
        return False
    known = parts.scheme in ("http", "https") and bool(parts.hostname)
    return known and not parts.path.strip("/")


def _certificates(path: str) -> bytes:
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"AWS_CA_BUNDLE {path} cannot be read ({error.strerror}); name a PEM file"
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise UsageError(f"AWS_CA_BUNDLE {path} holds no certificate; name a PEM file")
    return text
