"""status: where every release stands, from its journal and the cluster. Reads only."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidegate.core.journal import ActRecord
from tidegate.core.status import ReleaseStatus, Served, status_of
from tidegate.errors import DocumentError

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal
    from tidegate.core.observation import Observation


def statuses(
    kube: "Kubernetes", name: str, namespace: str, *, now_s: float | None = None
) -> tuple[list[ReleaseStatus], list[str]]:
    """Of one InferenceService or all ('' = every namespace); and the journals that cannot be read."""
    from tidegate.adapters.release_lock import list_journals

    broken: list[str] = []
    stored = list_journals(kube, namespace, unreadable=lambda error: broken.append(str(error)))
    chosen = [s for s in stored if name in {"", s.journal.name, s.journal.release_id}]
    now = time.time() if now_s is None else now_s
    return [_status(kube, one, now) for one in chosen], broken


def _status(kube: "Kubernetes", stored: "StoredJournal", now_s: float) -> ReleaseStatus:
    from tidegate.adapters.inference_service import InferenceServices
    from tidegate.adapters.release_lock import Lease

    journal = stored.journal
    seen = InferenceServices(kube, journal.namespace, journal.name).look()
    holder = Lease(kube, journal.namespace, journal.name, "").holder()
    return status_of(
        journal, seen, now_s=now_s, lease_holder=holder, earlier=_earlier(stored, seen)
    )


def _earlier(stored: "StoredJournal", seen: "Observation | None") -> tuple[str, ...]:
    """What serves now is no way back; a memory that cannot be read is none either."""
    from tidegate.adapters.release_history import history_of

    reached = [seen.revisions.get(name) for name in seen.traffic] if seen else []
    serving = {shown.storage_uri for shown in reached if shown}
    try:
        remembered = history_of(stored.config_map["data"], what=stored.journal.name).promoted
    except DocumentError:
        return ()
    versions = [
        one.subject.version for one in reversed(remembered) if one.storage_uri not in serving
    ]
    return tuple(dict.fromkeys(versions))


# -- for people


def lines(status: ReleaseStatus) -> Iterator[str]:
    """A headline and one indented line per fact."""
    word = status.outcome or status.phase
    yield (
        f"{status.namespace}/{status.name}: {word}, release {status.release_id} of {status.subject}"
    )
    for title, text in _facts(status):
        if text:
            yield f"  {title:<10} {text}"


def _facts(status: ReleaseStatus) -> Iterator[tuple[str, str]]:
    yield "reason", status.reason
    yield "deadline", _deadline(status)
    yield "traffic", ", ".join(f"{_named(s)} {s.percent} %" for s in status.traffic) or "none"
    yield "incumbent", _named(status.incumbent) if status.incumbent else "none: a first release"
    yield "candidate", _named(status.candidate)
    for act in status.acts:
        yield "act", _act(act)
    yield "taken", status.hand
    yield "in an act", status.lease_holder
    yield "safe", _safe(status)
    yield "beside", ", ".join(status.copies)
    yield "drift", status.drift or "none"
    yield "earlier", ", ".join(f"version {version}" for version in status.earlier)
    yield "next", status.next_command or "nothing to do"


def _deadline(status: ReleaseStatus) -> str:
    left = status.remaining_s
    if left is None:
        return ""
    return f"in {left:.0f} s" if left >= 0 else f"past by {-left:.0f} s: sweep undoes it"


def _named(served: Served) -> str:
    version = f" (version {served.version})" if served.version else ""
    return f"{served.revision or 'not created yet'}{version}"


def _act(act: ActRecord) -> str:
    percent = "" if act.percent is None else f" {act.percent} %"
    seen = "not seen yet" if act.confirmed_s is None else f"seen {_clock(act.confirmed_s)}"
    return f"{act.kind}{percent}, meant {_clock(act.intended_s)}, {seen}"


def _clock(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%H:%M:%S UTC")


def _safe(status: ReleaseStatus) -> str:
    traffic = "traffic is safe" if status.traffic_safe else "TRAFFIC IS NOT SAFE"
    if status.spec_repaired is None:
        return traffic
    return f"{traffic}, the spec is {'' if status.spec_repaired else 'not '}repaired"
