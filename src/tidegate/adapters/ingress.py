"""Where an inference server is reached: its address, the host name that routes, TLS and credentials.

The host name is what routes (`Host`, `:authority`), what TLS names (SNI) and what the certificate must be
for: a gateway serves many hosts behind one address.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tidegate.config import VARIABLES, Settings
from tidegate.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of the CA bundle and of the client's certificate and key; '' = the system's, or none."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect, under which host name, with which headers; tls None = plain."""

    address: str
    port: int
    tls: Tls | None
    host: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def server_name(self) -> str:
        """The host without its port."""
        return self.host.rsplit(":", 1)[0] if self.host.count(":") == 1 else self.host


def target(given: Settings, host: str, headers: Mapping[str, str]) -> Target:
    """The ingress with the service's host name, or the host itself. Raises UsageError."""
    url = given.ingress_url or f"http://{host}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"TIDEGATE_INGRESS_URL is {url!r}; write http://address:port or https://address:port"
        )
    tls = _tls(given) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    bearer = {"authorization": f"Bearer {given.ingress_token}"} if given.ingress_token else {}
    return Target(
        address=parts.hostname, port=port, tls=tls, host=host, headers={**headers, **bearer}
    )


def _tls(given: Settings) -> Tls:
    if given.ingress_insecure not in ("", "true", "false"):
        raise UsageError(
            f"{VARIABLES['ingress_insecure']} is {given.ingress_insecure!r}; write true or false"
        )
    if bool(given.ingress_certificate) != bool(given.ingress_key):
        named = f"{VARIABLES['ingress_certificate']} and {VARIABLES['ingress_key']}"
        raise UsageError(f"{named}: one is set without the other; set both or none")
    return Tls(
        ca=given.ingress_ca,
        certificate=given.ingress_certificate,
        key=given.ingress_key,
        insecure=given.ingress_insecure == "true",
    )


def context(tls: Tls) -> ssl.SSLContext:
    """TLS as configured; certificates are checked unless `insecure`. Raises UsageError."""
    try:
        made = ssl.create_default_context(cafile=tls.ca or None)
        if tls.certificate:
            made.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(f for f in (tls.ca, tls.certificate, tls.key) if f)
        raise UsageError(
            f"TLS files {files} cannot be read ({error}); correct TIDEGATE_INGRESS_CA, "
            "_CERTIFICATE or _KEY"
        ) from error
    if tls.insecure:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made
