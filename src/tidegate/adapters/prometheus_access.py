"""How Prometheus is reached: certificates, basic authentication, a bearer token; from files, read each time.

A token file is read again for every request, because Kubernetes renews projected tokens in place.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx

from tidegate.config import VARIABLES, Settings
from tidegate.errors import RejectedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the environment says of it; '' = nothing. `insecure` is never a default."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False
    token_file: str = ""
    username: str = ""
    password_file: str = ""

    @staticmethod
    def of(settings: Settings) -> "Access":
        """Raises RejectedError for a value of TIDEGATE_PROMETHEUS_INSECURE that is neither true nor false."""
        insecure = settings.prometheus_insecure.lower()
        if insecure not in ("", "true", "false"):
            raise RejectedError(f"{_variable('insecure')} = {insecure!r}; write true or false")
        return Access(
            ca_file=settings.prometheus_ca_file,
            cert_file=settings.prometheus_cert_file,
            key_file=settings.prometheus_key_file,
            insecure=insecure == "true",
            token_file=settings.prometheus_token_file,
            username=settings.prometheus_username,
            password_file=settings.prometheus_password_file,
        )

    def tls(self, url: str) -> ssl.SSLContext | bool:
        """What httpx verifies with; no certificates are read for plain HTTP. Raises RejectedError."""
        if not url.startswith("https:"):
            return False
        if not (self.ca_file or self.cert_file or self.insecure):
            return True
        return self._context()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.ca_file:
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as error:
                raise _unusable("ca_file", self.ca_file, error) from error
        if self.cert_file:
            try:
                context.load_cert_chain(self.cert_file, self.key_file or None)
            except OSError as error:
                raise _unusable("cert_file", self.cert_file, error) from error
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def headers(self) -> dict[str, str]:
        """The bearer token. Raises RejectedError."""
        if not self.token_file:
            return {}
        return {"Authorization": f"Bearer {_secret('token_file', self.token_file)}"}

    def auth(self) -> httpx.BasicAuth | None:
        """User and password; None leaves what stands in the URL. Raises RejectedError."""
        if not self.username:
            return None
        password = self.password_file and _secret("password_file", self.password_file)
        return httpx.BasicAuth(self.username, password)


def _secret(field: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(field, path, error) from error


def _unusable(field: str, path: str, error: Exception) -> RejectedError:
    words = getattr(error, "strerror", None) or error
    return RejectedError(f"{_variable(field)} = {path!r} cannot be used ({words}); correct it")


def _variable(field: str) -> str:
    return VARIABLES[f"prometheus_{field}"]
