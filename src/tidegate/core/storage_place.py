"""What a storage URI names, as KServe's storage initializer reads it. Pure.

Sources: kserve pkg/controller/v1beta1/inferenceservice/utils/utils.go (the schemes that a storageUri may
have) and python/storage/kserve_storage/kserve_storage.py (how each is read; Azure by
`https://(.+?).blob.core.windows.net/(.+)`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

from tidegate.errors import UsageError

Scheme = Literal["file", "pvc", "s3", "gs", "https"]
AZURE_HOST = ".blob.core.windows.net"
# Schemes of other tools for what KServe reads by another name.
_MEANT: Mapping[str, str] = {
    **dict.fromkeys(
        ("az", "azure", "adl", "abfs", "abfss", "wasb", "wasbs"),
        f"https://ACCOUNT{AZURE_HOST}/CONTAINER/PATH",
    ),
    "gcs": "gs://BUCKET/PATH",
    "s3a": "s3://BUCKET/PATH",
}
_HOLDER = re.compile(r"[a-z0-9]([a-z0-9._-]{0,220}[a-z0-9])?")
# KServe takes a key as it stands in the URI: what an URI would escape has no name that both agree on.
_PATH = re.compile(r"[\w.=+@,:~-]+(/[\w.=+@,:~-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder, or the objects below a prefix. `path` has no slash at its end; of file: it is absolute."""

    scheme: Scheme
    path: str
    holder: str = ""  # bucket, container or claim
    account: str = ""  # Azure's
    mounted: str = ""  # of a claim: the folder where it is mounted here

    @property
    def uri(self) -> str:
        """For a storageUri. Ends in `/`: without it `.../1` is `.../10` too (kserve#3776)."""
        if self.scheme == "file":
            return f"file://{quote(self.path)}/"
        host = f"{self.account}{AZURE_HOST}/{self.holder}" if self.account else self.holder
        return "/".join(filter(None, (f"{self.scheme}://{host}", self.path))) + "/"

    @property
    def folder(self) -> str:
        """The folder on this machine; '' for a bucket."""
        if self.scheme == "file":
            return self.path
        return "/".join(filter(None, (self.mounted, self.path))) if self.scheme == "pvc" else ""

    def below(self, path: str) -> "Place":
        """A place inside this one."""
        return replace(self, path=f"{self.path.rstrip('/')}/{path}" if self.path else path)

    def at(self, path: str) -> "Place":
        """Another place in the same bucket, claim or file system."""
        return replace(self, path=path)


def place_of(uri: str, mounts: Mapping[str, str] | None = None) -> Place:
    """What the URI names. `mounts` says which claim is mounted at which folder of this machine.

    Raises UsageError for what KServe could not read, and for a claim that is not mounted here.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:  # of a bracket that is no IPv6 address
        raise UsageError(
            f"the storage URI cannot be read ({error}); write {_example('')}"
        ) from error
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # without a password or a token
    known = parts.scheme in ("s3", "gs", "pvc") or (
        parts.scheme == "https" and parts.netloc.endswith(AZURE_HOST)
    )
    if _is_local(parts):
        return Place(scheme="file", path=unquote(parts.path).rstrip("/") or "/")
    if not known:
        raise UsageError(
            f"{shown!r} is no storage that tidegate and KServe both read; write {_example(parts.scheme)}"
        )
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(f"{shown} is not all of it; a storage URI has no ?, # or user in it")
    return _remote(parts, shown, mounts or {})


def _is_local(parts: SplitResult) -> bool:
    return (
        parts.scheme == "file"
        and parts.netloc in ("", "localhost")
        and parts.path.startswith("/")
        and not parts.query + parts.fragment
    )


def _remote(parts: SplitResult, uri: str, mounts: Mapping[str, str]) -> Place:
    path = _keys(uri, parts.path)
    if parts.scheme == "pvc":
        return _claim(uri, parts.netloc, path, mounts)
    if parts.scheme == "https":
        return _container(uri, parts.netloc.removesuffix(AZURE_HOST), path)
    scheme: Literal["s3", "gs"] = "s3" if parts.scheme == "s3" else "gs"
    return Place(scheme=scheme, holder=_named(uri, parts.netloc), path=path)


def mounts_of(text: str) -> dict[str, str]:
    """`claim=/folder,other=/elsewhere` as a mapping. Raises UsageError."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        claim, _, folder = part.partition("=")
        if not _HOLDER.fullmatch(claim) or not folder.startswith("/"):
            raise UsageError(
                f"TIDEGATE_CLAIM_MOUNTS {part!r} is no mount; write CLAIM=/FOLDER, several with a comma"
            )
        found[claim] = folder.rstrip("/")
    return found


def _claim(uri: str, claim: str, path: str, mounts: Mapping[str, str]) -> Place:
    if claim not in mounts:
        raise UsageError(
            f"{uri}: claim {claim} is not mounted here; in a drawing, write it by `tidegate compile ... "
            f"--storage-claim {claim}`; elsewhere mount it, and set TIDEGATE_CLAIM_MOUNTS to {claim}=/FOLDER"
        )
    return Place(scheme="pvc", holder=_named(uri, claim), path=path, mounted=mounts[claim])


def _container(uri: str, account: str, path: str) -> Place:
    container, _, path = path.partition("/")
    if not container:
        raise UsageError(
            f"{uri} names no container; write https://ACCOUNT{AZURE_HOST}/CONTAINER/PATH"
        )
    return Place(
        scheme="https", account=_named(uri, account), holder=_named(uri, container), path=path
    )


def _named(uri: str, name: str) -> str:
    if not _HOLDER.fullmatch(name):
        raise UsageError(
            f"{uri}: {name!r} is no name of a bucket, an account or a claim; correct it"
        )
    return name


def _keys(uri: str, path: str) -> str:
    path = path.strip("/")
    if path and (not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/"))):
        raise UsageError(
            f"{uri}: {path!r} is no path that KServe reads as it is written; "
            "use letters, digits and ._-=+@,:~"
        )
    return path


def _example(scheme: str) -> str:
    every = f"s3://BUCKET/PATH, gs://BUCKET/PATH, https://ACCOUNT{AZURE_HOST}/CONTAINER/PATH, "
    return _MEANT.get(scheme) or f"{every}pvc://CLAIM/PATH or file:///FOLDER"
