"""What a request on the wire is called: the step, the verb, the resource, and what it is for.

The purpose is read from the request itself and from what went over the wire before it, so a call that the
product makes newly has a name at once, and no list of calls is kept by hand.
"""

import json
from dataclasses import dataclass
from typing import Any

from tidegate.core.manifest import BASELINE_OF
from tidegate.sandbox.api.addresses import Address, parse

Json = dict[str, Any]
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
ISVC, LEASE, JOURNAL = "inferenceservices", "leases", "configmaps"


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One row of the table."""

    step: str
    verb: str
    resource: str
    purpose: str

    def __str__(self) -> str:
        return f"{self.step}: {self.verb} {self.resource}, {self.purpose}".rstrip(", ")

    @property
    def is_read(self) -> bool:
        return self.verb in {"get", "list", "watch"}


@dataclass(frozen=True, slots=True)
class Request:
    """As it came over the wire."""

    method: str
    path: str
    query: dict[str, str]
    body: Json

    @property
    def is_discovery(self) -> bool:
        """It asks which resources there are; everybody may."""
        return len(self.path.strip("/").split("/")) <= 3 and self.path.startswith("/apis/")

    @property
    def at(self) -> Address:
        return parse(self.path)

    @property
    def verb(self) -> str:
        """As a Role names it."""
        if self.method != "GET":
            return VERBS[self.method]
        if self.query.get("watch") in {"1", "true"}:
            return "watch"
        return "get" if self.at.name else "list"


class Story:
    """What the wire has shown so far, from which a request's purpose is told."""

    def __init__(self) -> None:
        self._journal: Json = {}
        self._holder = ""

    def call(self, step: str, request: Request) -> Call:
        """The request's name."""
        if request.is_discovery:
            return Call(step, "get", "discovery", f"of {request.path.split('/')[2]}")
        at = request.at
        resource = "/".join(filter(None, (at.kind.resource, at.subresource)))
        return Call(step, request.verb, resource, self._purpose(request, at))

    def tell(self, request: Request, answer: Json) -> None:
        """An answer came: remember the journal and the Lease's holder."""
        if request.is_discovery:
            return
        name = request.at.kind.plural
        if request.method == "DELETE" or (not request.at.name and request.method == "GET"):
            items = answer.get("items") or []
            journals = [journal for item in items if (journal := _journal(item))]
            self._journal = journals[-1] if journals else self._journal
        elif name == LEASE:
            self._holder = answer.get("spec", {}).get("holderIdentity", "")
        elif name == JOURNAL and (journal := _journal(answer)):
            self._journal = journal

    def _purpose(self, request: Request, at: Address) -> str:
        if at.kind.plural == LEASE:
            return self._lease(request)
        if at.kind.plural == JOURNAL:
            return self._config_map(request, at)
        if at.kind.plural == ISVC:
            return self._service(request)
        if at.kind.plural == "pods" and request.query.get("resourceVersion") == "0":
            return "count restarts"
        if at.kind.plural == "pods" and not at.namespace:
            return "of all namespaces"
        return ""

    @property
    def _mode(self) -> str:
        """Each mode has rules of its own for what it reads of an InferenceService and writes to it."""
        return ", Standard" if self._journal.get("mode") == "Standard" else ""

    @property
    def _phase(self) -> str:
        return str(self._journal.get("phase", "nothing is open")).replace(
            "ENDED", "nothing is open"
        )

    def _lease(self, request: Request) -> str:
        if request.method == "GET":
            return "look while held" if self._holder else "look while free"
        return "take" if request.body["spec"]["holderIdentity"] else "give back"

    def _config_map(self, request: Request, at: Address) -> str:
        if at.namespace == "kserve":
            return "read the default mode"
        if request.method == "GET":
            return f"read the journal while {self._phase}" if at.name else "find the journals"
        return change_of(self._journal, _journal(request.body) or {})

    def _service(self, request: Request) -> str:
        if request.method == "GET":
            return f"look while {self._phase}{self._mode}"
        if "dryRun" in request.query:
            return "dry-run"
        if _is_baseline(request):
            return f"the baseline{self._mode}"
        return f"{_patch(self._journal)}{self._mode}" if request.method == "PATCH" else ""


def _is_baseline(request: Request) -> bool:
    """By its label when it is made, by its name when it is removed."""
    labels = request.body.get("metadata", {}).get("labels") or {}
    return BASELINE_OF in labels or "-base-" in request.path


def _patch(journal: Json) -> str:
    """By the act that the journal means; the candidate gives its share back at 0."""
    act = journal["acts"][-1]
    if act["kind"] != "SHIFT":
        return str(act["kind"]).lower()
    return "return the share" if act["percent"] == 0 else "give a share"


def change_of(before: Json, after: Json) -> str:
    """What a write of the journal says that the one before it did not."""
    if before.get("release_id") != after.get("release_id") or not before:
        return "open the journal"
    if before["phase"] != after["phase"]:
        return "end" if after["phase"] == "ENDED" else f"enter {after['phase']}"
    if len(before["acts"]) != len(after["acts"]):
        return f"mean to {after['acts'][-1]['kind']}"
    changed = sorted(key for key in after if before.get(key) != after[key])
    return (
        "confirm the acts" if changed == ["acts"] else "note " + ", ".join(changed or ["nothing"])
    )


def _journal(config_map: Json) -> Json | None:
    text = (config_map.get("data") or {}).get("journal.json")
    found: Json | None = json.loads(text) if text else None
    return found
