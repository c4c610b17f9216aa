"""A real SIGKILL at one chosen API write, from below the client: the product knows nothing of it.

The connection class of urllib3, which the official Kubernetes client uses, is replaced in the one process
that is to die. Every write is noted before it is sent, so that the file tells afterwards how far it came.
"""

import json
import os
import select
import signal
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from tidegate.core.manifest import BASELINE_OF

Moment = Literal["before", "lost", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "lost", "after")
SAYING = {
    "before": "before it was sent",
    "lost": "when the server had done it and the answer was not read",
    "after": "right after the answer",
}
_ANSWER_S = 15.0


def watch_writes(log: Path, kill: "tuple[str, int, Moment] | None", base: int = 0) -> None:
    """Note every write of this process in the log, and die at the n-th one of that name, if any.

    `base` is what the service's versions have gone up by before this cell; names do without it.
    """
    met: Counter[str] = Counter()

    class Watched(HTTPConnection):
        """Counts writes; dies at one."""

        moment: Moment | None = None

        def request(
            self, method: str, url: str, body: Any = None, *given: Any, **more: Any
        ) -> None:
            self.moment = None
            if method != "GET" and "dryRun=All" not in url:
                name = write_name(method, url, body, base)
                met[name] += 1
                with log.open("a") as file:
                    file.write(f"{name}\n")
                if kill and kill[:2] == (name, met[name]):
                    self.moment = kill[2]
            if self.moment == "before":
                _die()
            super().request(method, url, body, *given, **more)

        def getresponse(self) -> Any:
            if self.moment == "lost":
                select.select([self.sock], [], [], _ANSWER_S)
                _die()
            response = super().getresponse()
            if self.moment == "after":
                _die()
            return response

    HTTPConnectionPool.ConnectionCls = cast("Any", Watched)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL returns to nobody")


# -- names of writes


def write_name(method: str, url: str, body: Any, base: int = 0) -> str:
    """What a write is about, the same in every run: `PATCH inferenceservice 10 %`."""
    wanted = json.loads(body) if body else {}
    parts = url.partition("?")[0].rstrip("/").split("/")
    if "leases" in parts:
        return f"{method} lease, {'held' if wanted['spec'].get('holderIdentity') else 'free'}"
    if "configmaps" in parts:
        return f"{method} journal, {_journal(json.loads(wanted['data']['journal.json']))}"
    if "inferenceservices" in parts:
        return f"{method} {_inference_service(parts, wanted, base)}"
    if "events" in parts:
        return f"{method} event {wanted.get('reason', '')}"
    return f"{method} {parts[-2]}"


def _journal(journal: dict[str, Any]) -> str:
    said = [journal["phase"]]
    if acts := journal["acts"]:
        act = acts[-1]
        percent = "" if act["percent"] is None else f" {act['percent']} %"
        said.append(f"{act['kind']}{percent} {'seen' if act['confirmed_s'] else 'meant'}")
    if steps := journal["steps"]:
        said.append(f"{steps[-1]['percent']} % judged {steps[-1]['word']}")
    return ", ".join([*said, *([journal["outcome"]] if journal["outcome"] else [])])


def _inference_service(parts: list[str], wanted: dict[str, Any], base: int) -> str:
    spec = wanted.get("spec", {})
    predictor = spec.get("predictor", {})
    said = [*_model(predictor, base), *_percent(predictor.get("canaryTrafficPercent"))]
    if "canary" in spec:  # Standard mode
        listed = spec["canary"] or [{"predictor": {}}]
        said.append(" ".join(["canary", *_model(listed[0]["predictor"], base)]))
        said += _percent(listed[0].get("trafficPercent"))
    labels = wanted.get("metadata", {}).get("labels") or {}
    name = "preview" if any("preview" in part for part in parts) else "inferenceservice"
    if BASELINE_OF in labels or any("-base-" in part for part in parts):
        name = "baseline"
    return ", ".join([name, *said])


def _model(predictor: dict[str, Any], base: int) -> list[str]:
    uri = (predictor.get("model") or {}).get("storageUri", "").rstrip("/")
    version, dash, fate = uri.split("/")[-1].partition("-")
    return [f"model {int(version) - base}{dash}{fate}"] if uri else []


def _percent(percent: int | None) -> list[str]:
    return [] if percent is None else [f"{percent} %"]
