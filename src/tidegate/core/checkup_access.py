"""What each step needs to be allowed, and how it stands with what it is allowed. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.core.checkup import Check, fail, ok, warn


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


def permissions(step: str, asked: Iterable[Need], denied: Sequence[Need], *, who: str) -> Check:
    """One finding per step; what is optional is only told."""
    title = f"permissions of {step}"
    missing = [str(one) for one in denied if not one.optional]
    less = [str(one) for one in denied if one.optional]
    remedy = f"apply deploy/overlays (kubectl apply -k), or bind role tidegate-{step} to {who}"
    if less and step == "gate":
        said = f"{who} may not {'; '.join(less)}: an objective of kind job is INVALID"
        return warn(title, said, "to have such objectives apply deploy/components/job-gate")
    if not missing and any(one.resource == "nodes" for one in denied):
        said = f"{who} may not {'; '.join(less)}: a policy with serving.gpu is refused"
        return warn(title, said, f"{remedy}; or write serving.gpu.preflight: report")
    if missing:
        return fail(title, f"{who} may not {'; '.join(missing)}", remedy)
    if less:
        return warn(title, f"{who} may not {'; '.join(less)}: the release tells less", remedy)
    return ok(title, f"{who} may do all {len(list(asked))} things")
