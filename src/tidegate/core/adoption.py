"""What a release would do to an InferenceService that somebody else made or keeps: every consequence. Pure.

A staging is a merge-patch: what the policy's predictor names is overwritten, what it does not name stays in
every later template. Both are said before anything is written, and so is who may write it back.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.core.decisions import Refuse
from tidegate.core.dropped import Dropped, field_of, without
from tidegate.core.isvc.components import changed
from tidegate.core.manifest import MODEL_VERSION_LABEL, PERCENT, TAG_ROUTING, predictor
from tidegate.core.observation import Observation
from tidegate.core.ownership import Owner, owner_of
from tidegate.documents import Strict, Word
from tidegate.policy import Policy

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SHORTHANDS = (
    "triton", "sklearn", "xgboost", "lightgbm", "pytorch", "tensorflow", "onnx", "pmml", "paddle",
    "huggingface",
)  # fmt: skip
TRITON_FORMAT = "triton"
TRITON_RUNTIME = "kserve-tritonserver"  # KServe's own, which its defaulting knows by name
NAMED = 4  # consequences that one line still holds; the plan has all of them

GONE = "the release before wrote it, and the policy no longer names it"
KEPT = "the policy does not name it, so every release carries it on"
WHY = {
    "minReplicas": "it is part of the released template and changes with a release alone",
    f"labels.{MODEL_VERSION_LABEL}": "it names the version on the revision and its pods",
    "model.storageUri": "this is the release",
    PERCENT: "the candidate is staged dark",
}


class Consequence(Strict):
    """One field of the object: as it is, as the first act leaves it, and why. '' = it is not there."""

    field: str
    now: str
    after: str
    why: str

    @property
    def is_change(self) -> bool:
        """Something is written; a field that is kept is not."""
        return self.now != self.after

    def __str__(self) -> str:
        after = self.after or "nothing"
        done = f"{self.now or 'nothing'} -> {after}" if self.is_change else f"{self.now} stays"
        return f"{self.field}: {done} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One leaf of an object before and after a merge-patch; None = it is not there."""

    path: tuple[str, ...]
    now: Any
    after: Any
    is_kept: bool = False


def overlaid(now: Any, wanted: Any, path: tuple[str, ...] = ()) -> Iterator[Change]:
    """What a merge-patch of `wanted` changes, adds, takes away, and leaves as it is not named."""
    if not isinstance(now, Mapping) or not isinstance(wanted, Mapping):
        if now != wanted:
            yield Change(path=path, now=now, after=wanted)
        return
    for key in [*now, *(key for key in wanted if key not in now)]:
        here = (*path, key)
        if key not in wanted:
            yield Change(path=here, now=now[key], after=now[key], is_kept=True)
        elif key not in now:
            yield Change(path=here, now=None, after=wanted[key])
        elif wanted[key] is None:
            yield Change(path=here, now=now[key], after=None)
        else:
            yield from overlaid(now[key], wanted[key], here)


# -- may it be taken over?


def is_foreign(seen: Observation) -> bool:
    """Neither created by tidegate nor serving what tidegate promoted."""
    serving = [seen.revisions.get(name) for name in seen.traffic]
    ours = any(revision is not None and revision.version for revision in serving)
    ours = ours or MODEL_VERSION_LABEL in seen.predictor.get("labels", {})
    return not seen.created_by and not ours


def needs_leave(seen: Observation) -> bool:
    """The policy must say `adopt: allow`: it is somebody else's, or somebody else keeps it."""
    return is_foreign(seen) or owner_of(seen) is not None


def unfit(seen: Observation, policy: Policy) -> Refuse | None:
    """Why no policy makes this InferenceService releasable as it is."""
    if reason := _unfit(seen, policy):
        return Refuse(word=Word.INVALID, reason=f"{policy.namespace}/{policy.name} {reason}")
    return None


def _unfit(seen: Observation, policy: Policy) -> str:
    spec, model = seen.predictor, seen.predictor.get("model")
    if found := changed(seen.companions, policy):
        return (
            f"has components that no release changes: {found}; KServe counts a canary's percent per "
            "component, so old and new would answer each other (kserve#1669): apply that change alone "
            "first, or write serving.transformer with collocated: true"
        )
    if not isinstance(model, Mapping):
        found = next((key for key in (*SHORTHANDS, "containers") if key in spec), "")
        named = f"spec.predictor.{found}" if found else "no predictor"
        return f"has {named} where a release needs spec.predictor.model; write it as model first"
    if (model.get("storage") or {}).get("path"):
        return "has storage.path, beside which KServe takes no storageUri; remove it first"
    for where, key in ((spec, "storageUris"), (spec, "workerSpec")):
        if where.get(key):
            return f"has {key}, beside which KServe takes no storageUri; remove it first"
    serving = policy.serving
    spoken, ours = _protocol(model), "grpc-v2" if serving.port == "grpc" else serving.protocol
    if spoken != ours:
        return (
            f"speaks {spoken} (protocolVersion), a release speaks {ours}: at each step a part of its clients "
            "would be answered in the wrong protocol; release under a new name and move the clients"
        )
    return ""


def _protocol(model: Mapping[str, Any]) -> str:
    """As KServe defaults it (inference_service_defaults.go:264-271); modelFormat is required there."""
    if spoken := model.get("protocolVersion"):
        return str(spoken)
    named = model.get("modelFormat", {}).get("name", TRITON_FORMAT)
    return "v2" if named == TRITON_FORMAT or model.get("runtime") == TRITON_RUNTIME else "v1"


def refused(seen: Observation, policy: Policy, found: tuple[Consequence, ...]) -> Refuse | None:
    """One line for a service that is not tidegate's, unless the policy allows to take it over."""
    if policy.adopt == "allow" or not needs_leave(seen):
        return None
    owner = owner_of(seen)
    whose = f"is kept by {owner.tool} ({owner.by})" if owner else "was not made by tidegate"
    reason = (
        f"{policy.namespace}/{policy.name} {whose}; a release would {_told(found)}; write adopt: allow if "
        "that is meant (tidegate plan shows all of it)"
    )
    return Refuse(word=Word.INVALID, reason=reason)


def _told(found: tuple[Consequence, ...]) -> str:
    written = [c for c in found if c.is_change and c.field.startswith(("spec.", "metadata."))]
    written = [c for c in written if c.why not in WHY.values() or c.field.endswith("Replicas")]
    kept = [c.field for c in found if not c.is_change and c.why == KEPT]
    parts = [f"{c.field} {c.now or 'nothing'} -> {c.after or 'nothing'}" for c in written[:NAMED]]
    text = f"set {', '.join(parts)}{_more(len(written))}" if parts else "set nothing else"
    return f"{text} and keep {', '.join(kept[:NAMED])}{_more(len(kept))}" if kept else text


def _more(count: int) -> str:
    return f" (and {count - NAMED} more)" if count > NAMED else ""


# -- every consequence


def adoption_of(
    seen: Observation | None,
    policy: Policy,
    storage_uri: str,
    version: str,
    drops: tuple[Dropped, ...] = (),
) -> tuple[Consequence, ...]:
    """What taking over the service changes and keeps; () when it is tidegate's alone, or unfit."""
    if seen is None or not needs_leave(seen) or unfit(seen, policy):
        return ()
    return consequences(seen, policy, storage_uri, version, drops)


def consequences(
    seen: Observation,
    policy: Policy,
    storage_uri: str,
    version: str,
    drops: tuple[Dropped, ...] = (),
) -> tuple[Consequence, ...]:
    """All that a release changes and keeps, and who may set it back.

    In Knative mode the first act's one patch does it; in Standard mode the same fields come with a canary
    of its own, and into spec.predictor once it is promoted.
    """
    wanted = predictor(policy, storage_uri, version).as_dict()
    wanted |= {} if seen.mode == "Standard" else {PERCENT: 0}
    wanted = without(wanted, drops, seen.predictor)
    return (
        *(_of(change) for change in overlaid(seen.predictor, wanted)),
        *_dark(seen),
        *_requests(seen, policy),
        *_keepers(seen, owner_of(seen)),
    )


def _of(change: Change) -> Consequence:
    now, after = _shown(change.now), _shown(change.after)
    if change.is_kept:
        why = KEPT
    elif change.after is None:
        why = GONE
    else:
        named = ".".join(change.path)
        why = WHY.get(named, "the policy says so")
    return Consequence(field=field_of(change.path), now=now, after=after, why=why)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _dark(seen: Observation) -> Iterator[Consequence]:
    """What the candidate needs to come up at 0 % with a URL of its own, besides its predictor."""
    held = seen.annotations.get(TAG_ROUTING, "")
    if seen.mode == "Standard":
        why = "the candidate is staged dark, and is the predictor once promoted"
        yield Consequence(field="spec.canary", now="", after="an entry at 0 %", why=why)
    elif held != "true":
        why = "the candidate needs a URL of its own; added alone it would make a revision, and it stays"
        yield Consequence(
            field=f"metadata.annotations[{TAG_ROUTING}]", now=held, after="true", why=why
        )


def _requests(seen: Observation, policy: Policy) -> Iterator[Consequence]:
    if is_foreign(seen):
        ends = ":predict" if policy.serving.protocol == "v1" else "/infer"
        path = f"/{policy.serving.protocol}/models/{policy.triton_model}{ends}"
        why = "clients must ask for this name already; if not, set triton.model_name to theirs"
        yield Consequence(field="the path of requests", now="not known", after=path, why=why)


def _keepers(seen: Observation, owner: Owner | None) -> Iterator[Consequence]:
    if owner is not None:
        why = (
            f"{owner.tool} writes the percent or the template back at its next sync; {owner.remedy}"
        )
        yield Consequence(field=owner.by, now=owner.value, after=owner.value, why=why)
    elif LAST_APPLIED in seen.annotations:
        why = "the next kubectl apply of that manifest sets the template back; apply none in a release"
        field = f"metadata.annotations[{LAST_APPLIED}]"
        yield Consequence(field=field, now="a manifest", after="a manifest", why=why)
