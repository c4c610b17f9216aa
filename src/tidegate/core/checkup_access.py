"""What each step needs to be allowed, and how it stands with what it is allowed. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.core.checkup import Check, fail, ok, warn

KEDA = "scaledobjects"  # asked for by a policy that KEDA scales alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One verb of one step; `namespace` '' = all of them."""

    step: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""
    optional: bool = False

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        which = f" {self.name}" if self.name else ""
        where = f"in {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {kind}{which} {where}"

    @property
    def is_of_room(self) -> bool:
        """The pods of all namespaces: what the nodes have left."""
        return self.resource == "pods" and not self.namespace

    @property
    def attributes(self) -> dict[str, str]:
        """`resourceAttributes` of an access review."""
        resource, _, subresource = self.resource.partition("/")
        given = {
            "verb": self.verb, "group": self.group, "resource": resource,
            "subresource": subresource, "namespace": self.namespace, "name": self.name,
        }  # fmt: skip
        return {key: value for key, value in given.items() if value}


def needs(verbs: Mapping[str, Sequence[Mapping[str, Any]]], namespace: str) -> Iterator[Need]:
    """Every verb of verbs.yaml, for an InferenceService in this namespace."""
    for step, rules in verbs.items():
        for rule in rules:
            where = "" if rule.get("everywhere") else str(rule.get("namespace", namespace))
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [""]):
                    yield Need(
                        step=step, verb=verb, group=rule["apiGroup"], resource=rule["resource"],
                        namespace=where, name=name, optional=bool(rule.get("optional")),
                    )  # fmt: skip


def permissions(
    step: str,
    asked: Iterable[Need],
    denied: Sequence[Need],
    *,
    who: str,
    used: Collection[str] = (),
) -> Check:
    """One finding per step; what is optional, or of a feature that is not `used`, is only told."""
    title = f"permissions of {step}"
    spared = {KEDA}.difference(used)
    missing = [one for one in denied if not one.optional and one.resource not in spared]
    less = "; ".join(str(one) for one in denied if one not in missing)
    remedy = f"apply deploy/overlays (kubectl apply -k), or bind role tidegate-{step} to {who}"
    if missing:
        return fail(title, f"{who} may not {'; '.join(map(str, missing))}", remedy)
    if less and step == "gate":
        said = f"{who} may not {less}: an objective of kind job is INVALID"
        return warn(title, said, "to have such objectives apply deploy/components/job-gate")
    if less:
        told, instead = _consequence(denied)
        return warn(title, f"{who} may not {less}: {told}", f"{remedy}{instead}")
    return ok(title, f"{who} may do all {len(list(asked))} things")


def _consequence(denied: Iterable[Need]) -> tuple[str, str]:
    """Of going on without them, and what else could be done."""
    resources = {"room" if one.is_of_room else one.resource for one in denied}
    told, instead = [], ""
    if "nodes" in resources:
        told.append("a policy with a device, such as a GPU, is refused")
        instead = "; or write serving.preflight: report"
    elif "room" in resources:
        told.append("what other pods hold is not known")
        instead = "; or apply deploy/components/room"
    if KEDA in resources:
        told.append("a policy with serving.scaling.kind keda is refused")
    return ", and ".join(told) or "the release tells less", instead
