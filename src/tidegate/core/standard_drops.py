"""Standard mode: a field that the policy no longer names, which a canary cannot unset. Pure.

KServe lays an entry of `spec.canary` over the stable predictor, and an empty field of it does not win
(`components/predictor.go` 902-916). So the candidate would be judged with the field, and its pods made anew
at the rename without it, unjudged.
"""

from collections.abc import Iterable, Sequence

from tidegate.core.decisions import Refuse
from tidegate.core.dropped import Dropped
from tidegate.core.isvc.typed import Json
from tidegate.core.manifest import patch_command
from tidegate.core.observation import Observation
from tidegate.core.standard_manifest import SCALING
from tidegate.documents import Word
from tidegate.policy import Policy

INSTEAD = {"serviceAccountName": "default", "schedulerName": "default-scheduler"}
NAMED = 3  # that one line still holds


def inherited(seen: Observation, policy: Policy, drops: Iterable[Dropped]) -> Refuse | None:
    """Why such a release is none, and what to do: a value that means the same, or a patch of one's own.

    How the pods are scaled is no part of one, and goes with the rename.
    """
    held = [one for one in drops if one.path[0] not in SCALING]
    if seen.mode != "Standard" or not held:
        return None
    command = patch_command(policy.namespace, policy.name, _nulls(held))
    reason = (
        f"{policy.namespace}/{policy.name} has {_named(held)} of the release before, which the policy no "
        "longer names, and in Standard mode a canary inherits it and cannot unset it; name it again or say "
        f"another value{_instead(held)}, or take it from the stable predictor first, whose pods are then "
        f"made anew without a gate: {command}"
    )
    return Refuse(word=Word.INVALID, reason=reason)


def _named(held: Sequence[Dropped]) -> str:
    more = f" and {len(held) - NAMED} more" if len(held) > NAMED else ""
    return ", ".join(f"{one} ({one.value})" for one in held[:NAMED]) + more


def _instead(held: Iterable[Dropped]) -> str:
    same = [INSTEAD[one.path[-1]] for one in held if one.path[-1] in INSTEAD]
    return f" ({', '.join(same)} is what an empty one means)" if same else ""


def _nulls(held: Iterable[Dropped]) -> Json:
    patch: Json = {}
    for one in held:
        inner = patch
        for step in one.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[one.path[-1]] = None
    return {"spec": {"predictor": patch}}
