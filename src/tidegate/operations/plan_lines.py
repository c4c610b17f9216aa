"""A plan in lines, for people."""

from collections.abc import Iterator

from tidegate.core.journal import ActKind
from tidegate.core.plan_documents import Need, Plan, PlannedAct
from tidegate.documents import Word

BEFORE = {ActKind.BASELINE, ActKind.UNFOLLOW}  # the staging


def lines(plan: Plan) -> Iterator[str]:
    """The plan to be read from top to bottom."""
    yield f"{plan.namespace}/{plan.name}: a release of {plan.subject} ({plan.mode})"
    if plan.refused:
        yield f"{'nothing to do' if plan.refused is Word.UNCHANGED else 'refused'}: {plan.refusal}"
    if plan.incumbent:
        yield f"  incumbent  {plan.incumbent.revision}, {plan.incumbent.storage_uri}"
    where = f"{plan.storage_uri} (placeholder: the digest is known after publish)"
    yield f"  candidate  {where if plan.is_placeholder else plan.storage_uri}"
    yield from (f"  notice     {notice}" for notice in plan.notices)
    yield from (f"  adoption   {consequence}" for consequence in plan.adoption)
    if not plan.refused:
        yield from _body(plan)


def _body(plan: Plan) -> Iterator[str]:
    yield "Acts"
    for number, act in enumerate(plan.acts, 1):
        yield f"  {number}. {_act(act)}: {act.why}; then {_after(act)}"
    if plan.alias:
        yield f"  last, alias {plan.alias} -> version {plan.subject.version}, if nobody moved it meanwhile"
    yield "Roll-back"
    for way in plan.roll_back:
        yield f"  {way.when}: " + ", ".join(_act(act) for act in way.acts)
    yield "Capacity (at least; replicas x resources of each)"
    yield from (f"  {_need(need)}" for need in plan.capacity)
    yield f"Manifest (server-side dry-run of act {_shown(plan)})"
    yield plan.manifest_diff


def _shown(plan: Plan) -> int:
    """The act whose manifest is shown: the first on the service itself, or on its preview."""
    return next(n for n, act in enumerate(plan.acts, 1) if act.kind not in BEFORE)


def _act(act: PlannedAct) -> str:
    return act.kind.value if act.percent is None else f"{act.kind} {act.percent} %"


def _after(act: PlannedAct) -> str:
    if act.bake_s is None:
        return act.evidence
    return f"bake {act.bake_s:g} to {act.max_bake_s:g} s, {act.evidence}"


def _need(need: Need) -> str:
    running = "; ".join(
        f"{one.of} {one.replicas} x ({_resources(one.resources)})" for one in need.running
    )
    devices = ", ".join(f"{count} {name}" for name, count in need.devices.items())
    return f"{need.when}: {running}" + (f"; {devices} in all" if devices else "")


def _resources(resources: dict[str, str]) -> str:
    return (
        ", ".join(f"{name} {value}" for name, value in resources.items()) or "as the runtime says"
    )
