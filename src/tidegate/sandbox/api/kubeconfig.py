"""The kubeconfig that points kubectl and the official clients at the emulated API."""

import os
from pathlib import Path

import yaml

CONTEXT = "tidegate-sandbox"


def write_kubeconfig(path: Path, url: str, *, token: str = "") -> Path:
    """Write it whole or not at all; a reader never sees half a file. `token` names a user with rules."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": url}}],
        "users": [{"name": CONTEXT, "user": {"token": token} if token else {}}],
        "contexts": [
            {
                "name": CONTEXT,
                "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": "default"},
            }
        ],
        "current-context": CONTEXT,
        "preferences": {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    draft.replace(path)
    return path
