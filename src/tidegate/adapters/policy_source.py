"""Where a policy's text comes from: a file, a ConfigMap, an artifact of the model, or base64 text."""

import base64
import binascii
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tidegate.adapters.files import parse_policy
from tidegate.config import settings
from tidegate.errors import DocumentError, RejectedError, UnavailableError, UsageError
from tidegate.policy import Policy

FORMS = "a path, configmap:<namespace>/<name>[/<key>], model:<path> or base64:<text>"


def load(
    reference: str,
    *,
    model_uri: str = "",
    namespace: str = "",
    artifact: Callable[[str, str], str],
) -> Policy:
    """The policy a reference names, with the overrides put in before it is judged.

    `artifact(model_uri, path)` reads a text file stored with a model version.
    Raises DocumentError for the text, RejectedError or UnavailableError for its place.
    """
    text = _text(reference, model_uri, artifact)
    shown = "the policy in base64" if reference.startswith("base64:") else f"policy {reference}"
    return parse_policy(_overridden(text, model_uri, namespace), what=shown)


def _text(reference: str, model_uri: str, artifact: Callable[[str, str], str]) -> str:
    kind, _, rest = reference.partition(":")
    if kind == "configmap":
        return _config_map(rest)
    if kind == "base64":
        return _decoded(rest)
    if kind != "model":
        return _file(reference)
    if not model_uri:
        raise UsageError(f"policy {reference} lies with a model; also give model_uri")
    return artifact(model_uri, rest)


def _overridden(text: str, model_uri: str, namespace: str) -> str:
    """Put the run's own parameters in; text that is no mapping is left for the parser to refuse."""
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if not isinstance(loaded, dict):
        return text
    if model_uri and isinstance(loaded.get("model") or {}, dict):
        loaded["model"] = {**(loaded.get("model") or {}), "uri": model_uri}
    if namespace:
        loaded["namespace"] = namespace
    return yaml.safe_dump(loaded)


def _file(reference: str) -> str:
    path = Path(reference)
    if not reference or not path.is_file():
        raise DocumentError(f"policy {reference!r}: no such file; give {FORMS}")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"policy {reference}: cannot be read ({error}); correct it") from error


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise DocumentError(
            f"the policy in base64 cannot be decoded ({error}); write it with `base64 -w0 policy.yaml`"
        ) from error


def _config_map(rest: str) -> str:
    parts = rest.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise DocumentError(f"policy configmap:{rest}: write configmap:<namespace>/<name>[/<key>]")
    namespace, name, key = (*parts, "policy.yaml")[:3]
    found = _read_config_map(namespace, name)
    if key not in found:
        known = ", ".join(sorted(found)) or "none"
        raise RejectedError(f"ConfigMap {namespace}/{name} has no key {key!r}; its keys: {known}")
    return found[key]


def _read_config_map(namespace: str, name: str) -> dict[str, str]:
    api, refused = _client()
    try:
        found = api.read_namespaced_config_map(name, namespace, _request_timeout=10)
    except refused as error:
        status = getattr(error, "status", None)
        message = f"ConfigMap {namespace}/{name} cannot be read ({_said(error)})"
        if status in (401, 403, 404):
            raise RejectedError(
                f"{message}; create it, or allow this account to read it"
            ) from error
        raise UnavailableError(f"{message}; try again later") from error
    return dict(found.data or {})


def _said(error: Exception) -> str:
    """The API's own words, which are JSON in the body of its answer."""
    try:
        return str(json.loads(getattr(error, "body", ""))["message"])
    except (ValueError, KeyError, TypeError):
        return str(getattr(error, "reason", "")) or type(error).__name__


def _client() -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import kubernetes
        import urllib3
    except ImportError as error:
        raise UsageError(
            "kubernetes is not installed; pip install 'tidegate[kubernetes]'"
        ) from error
    try:
        kubernetes.config.load_config(config_file=settings().kubeconfig or None)
    except kubernetes.config.ConfigException as error:
        raise UsageError(f"no cluster: {error}; set KUBECONFIG to a kubeconfig file") from error
    refused = (kubernetes.client.ApiException, urllib3.exceptions.HTTPError)
    return kubernetes.client.CoreV1Api(), refused
