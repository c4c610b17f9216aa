"""A model of how KServe and Knative move canary traffic, one controller's turn at a time.

Each method is one reconcile of one controller; a test calls them in any order, which is how delays and
races come about. The rules are those of KServe's ksvc reconciler and of Knative's configuration and route
reconcilers: `latest` follows the newest ready revision, a promotion is recorded at 100 only, a percent
below 100 on a template that is rolled out at 100 rolls back, and nothing changes while a target is un-Ready.
"""

from dataclasses import dataclass, field
from typing import Any

from tidegate.core.observation import SOURCE_URI, Observation, observe

Json = dict[str, Any]
Entry = dict[str, Any]


@dataclass
class Cluster:
    """The InferenceService `m` and what came of it."""

    predictor: Json = field(default_factory=dict)
    version: int = 1
    component: Json = field(default_factory=dict)
    template: str = ""
    wanted: list[Entry] = field(default_factory=list)
    ksvc: Json = field(default_factory=lambda: {"created": "", "ready": "", "traffic": []})
    generation: int = 0
    observed: int = 0
    configuration: Json = field(
        default_factory=lambda: {"template": "", "created": "", "ready": ""}
    )
    route: list[Entry] = field(default_factory=list)
    routed: list[Entry] = field(default_factory=list)
    is_routed: bool = True
    revisions: dict[str, Json] = field(default_factory=dict)

    # -- what a client does

    def merge(self, patch: Json) -> None:
        self.version += 1
        _merge(self.predictor, patch["spec"]["predictor"])

    def delete(self, name: str) -> None:
        """A revision: the newest ready one is then looked for among the others."""
        self.revisions.pop(name, None)
        if self.configuration["ready"] == name:
            ready = [known for known, held in self.revisions.items() if held["ready"]]
            self.configuration["ready"] = max(ready, key=lambda n: int(n[1:]), default="")

    # -- the controllers' turns

    def kserve(self) -> None:
        percent, last = self.predictor.get("canaryTrafficPercent"), self.component.get("rolled", "")
        latest = {"latest": True, "percent": 100, "tag": "latest"}
        self.wanted, self.template = [latest], self.predictor["model"]["storageUri"]
        if percent is not None and last:
            latest["percent"] = percent
            prev = {"latest": False, "revision": last, "percent": 100 - percent, "tag": "prev"}
            self.wanted += [prev] if percent < 100 else []
        self._record()

    def _record(self) -> None:
        status, held = self.ksvc, self.component
        total = _totals(status["traffic"])
        for entry in status["traffic"]:
            ready, share = status["ready"], entry["percent"]
            if not entry["latest"] or entry["revision"] != ready:
                continue
            if held.get("rolled", "") != ready:
                if share == 100:
                    held["before"], held["rolled"] = held.get("rolled", ""), ready
            elif ready == status["created"] and share < 100 and total[ready] == 100:
                held["rolled"] = held.get("before") or held["rolled"]
        held |= {"created": status["created"], "ready": status["ready"]}
        held["traffic"] = [dict(entry) for entry in status["traffic"]]

    def service(self) -> None:
        if self.configuration["template"] != self.template:
            self.configuration["template"] = self.template
            self.generation += 1
        self.route = [dict(entry) for entry in self.wanted]
        if self.observed == self.generation:
            self.ksvc["created"] = self.configuration["created"]
            self.ksvc["ready"] = self.configuration["ready"]
        self.ksvc["traffic"] = [dict(entry) for entry in self.routed]

    def configure(self) -> None:
        if not self.generation:
            return
        name = f"r{self.generation}"
        self.revisions.setdefault(name, {"uri": self.configuration["template"], "ready": None})
        self.configuration["created"], self.observed = name, self.generation
        for known in sorted(self.revisions, key=lambda n: int(n[1:])):
            newer = int(known[1:]) > int(self.configuration["ready"][1:] or 0)
            if newer and self.revisions[known]["ready"]:
                self.configuration["ready"] = known

    def program(self) -> None:
        newest = self.configuration["ready"]
        targets = [newest if entry["latest"] else entry["revision"] for entry in self.route]
        self.is_routed = all(self.revisions.get(t, {}).get("ready") for t in targets)
        if self.is_routed and targets:
            self.routed = [
                {**entry, "revision": target}
                for entry, target in zip(self.route, targets, strict=True)
            ]

    def settle(self, turns: int = 8) -> None:
        for _ in range(turns):
            for turn in (self.kserve, self.service, self.configure, self.program, self.service):
                turn()
        self.kserve()

    def decide_loads(self, uri: str, *, ready: bool) -> None:
        """Every revision of this URI that has not decided yet comes up, or fails."""
        for revision in self.revisions.values():
            if revision["uri"] == uri and revision["ready"] is None:
                revision["ready"] = ready

    # -- what is so, and what is seen

    @property
    def production(self) -> dict[str, int]:
        return {name: percent for name, percent in _totals(self.routed).items() if percent}

    def answers(self, host: str) -> set[str]:
        """The revisions that a request to this host may reach, as the routes stand."""
        if host == "m":
            return set(self.production)
        return {entry["revision"] for entry in self.routed if host == f"{entry['tag']}-m"}

    def seen(self) -> Observation:
        component = {
            "latestCreatedRevision": self.component.get("created", ""),
            "latestReadyRevision": self.component.get("ready", ""),
            "latestRolledoutRevision": self.component.get("rolled", ""),
            "traffic": [_status_entry(entry) for entry in self.component.get("traffic", [])],
        }
        created = self.component.get("created", "")
        up = self.is_routed and bool(created) and self.revisions[created]["ready"] is True
        conditions = {"Ready": up, "RoutesReady": self.is_routed}
        return observe(
            {
                "metadata": {"uid": "u", "resourceVersion": str(self.version)},
                "spec": {"predictor": self.predictor},
                "status": {
                    "url": "http://m",
                    "components": {"predictor": component},
                    "conditions": [
                        {"type": name, "status": str(value)} for name, value in conditions.items()
                    ],
                },
            },
            [_revision(name, held) for name, held in self.revisions.items()],
        )


def _totals(entries: list[Entry]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for entry in entries:
        totals[entry["revision"]] = totals.get(entry["revision"], 0) + entry["percent"]
    return totals


def _status_entry(entry: Entry) -> Json:
    named = {"revisionName": entry["revision"], "percent": entry["percent"], "tag": entry["tag"]}
    return named | {"latestRevision": entry["latest"], "url": f"http://{entry['tag']}-m"}


def _revision(name: str, held: Json) -> Json:
    said = {True: "True", False: "False", None: "Unknown"}[held["ready"]]
    reason = "ExitCode1" if held["ready"] is False else ""
    ready = {"type": "Ready", "status": said, "reason": reason, "message": "it crashed"}
    status = {"conditions": [ready], "actualReplicas": int(held["ready"] is True)}
    return {"metadata": {"name": name, "annotations": {SOURCE_URI: held["uri"]}}, "status": status}


def _merge(target: Json, patch: Json) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def serving(*uris: str) -> Cluster:
    """A cluster in which these were promoted one after another."""
    cluster = Cluster()
    for uri in uris:
        cluster.merge({"spec": {"predictor": {"model": {"storageUri": uri}}}})
        cluster.settle()
        cluster.decide_loads(uri, ready=True)
        cluster.settle()
    return cluster
