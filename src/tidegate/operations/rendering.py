"""render: every object that a policy leads to, as YAML. Asks nothing and nobody: it needs no cluster."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from tidegate.core.rendering import Rendered, Served, rendered
from tidegate.errors import DocumentError, UsageError
from tidegate.policy import Policy, unsupported

Json = dict[str, Any]
MODES = ("Knative", "Standard")
DIGEST, VERSION, BEFORE = "DIGEST", "VERSION", "PREVIOUS"
STORAGE = "s3://models"  # where TIDEGATE_STORAGE_URI says nothing


def text_of(
    policy: Policy,
    *,
    mode: str = "",
    storage_uri: str = "",
    percent: int | None = None,
    parent: str = STORAGE,
) -> str:
    """The objects in the order in which they are applied, each with who does it when.

    `parent` is where versions are published below.

    Raises UsageError when nobody says the mode, DocumentError for what the mode cannot do.
    """
    chosen = _mode(policy, mode)
    version = _version(policy)
    candidate = Served(storage_uri=storage_uri or _uri(parent, policy, version), version=version)
    incumbent = Served(storage_uri=_uri(parent, policy, BEFORE), version=BEFORE)
    made = rendered(
        policy, chosen, candidate, runtime=own_runtime(), percent=percent, incumbent=incumbent
    )
    return "".join(_document(number, one) for number, one in enumerate(made, 1))


def _mode(policy: Policy, asked: str) -> str:
    said = policy.serving.mode
    if said != "auto" and asked not in ("", said):
        raise UsageError(f"--mode is {asked}, and the policy's serving.mode {said}; leave one out")
    mode = asked or said
    if mode not in MODES:
        raise UsageError("the policy's serving.mode is auto; say --mode Knative or Standard")
    if reason := unsupported(policy.serving, mode):
        raise DocumentError(f"serving, in {mode} mode: {reason}")
    return mode


def _version(policy: Policy) -> str:
    found = re.search(r"/(\d+)$", policy.model.uri)
    return found[1] if found else VERSION


def _uri(parent: str, policy: Policy, version: str) -> str:
    """As publish names it, but for the digest, which is known only then."""
    return f"{parent.rstrip('/')}/{policy.name}/{version}-{DIGEST}/"


def own_runtime() -> Json:
    """The ServingRuntime of deploy/base: inside the installed package, or in the source tree."""
    packaged = files("tidegate.operations").joinpath("serving-runtime.yaml")
    source = Path(__file__).parents[3] / "deploy" / "base" / "serving-runtime.yaml"
    text = (packaged if packaged.is_file() else source).read_text(encoding="utf-8")
    found: Json = next(one for one in yaml.safe_load_all(text) if one)
    return found


class _Plain(yaml.SafeDumper):
    """Without anchors: a person reads it."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own hook
        return True


def _document(number: int, one: Rendered) -> str:
    item = one.manifest
    title = f"# {number}. {item['kind']} {item['metadata']['name']}: {one.when}\n"
    return f"---\n{title}{yaml.dump(item, Dumper=_Plain, sort_keys=False)}"
