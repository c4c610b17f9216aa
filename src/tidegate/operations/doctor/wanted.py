"""What the release would be that doctor looks for."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidegate.policy.serving import OWN_RUNTIME, TRITON

if TYPE_CHECKING:
    from tidegate.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the release would be: from a policy, or from flags."""

    namespace: str = "default"
    mode: str = "auto"
    runtime: str = OWN_RUNTIME
    runtime_version: str = ""
    format: str = TRITON
    accelerators: dict[str, int] = field(default_factory=dict)  # kind -> of one version
    has_baseline: bool = False  # a third set of them, during the load test
    step: str = ""  # '' = all of them
    accounts: bool = False  # ask for each step's own ServiceAccount, not for us
    runs_in: str = ""  # where those accounts and the claim are; '' = in the service's namespace
    claim: str = ""  # that the runs keep their files on
    policy: "Policy | None" = None  # for what of it no flag says


def wanted_by(policy: "Policy", **flags: object) -> Wanted:
    """What a policy asks of the cluster; flags that are set win."""
    serving = policy.serving
    limits = serving.resources.get("limits", {})
    kinds = {
        k: int(v) * serving.min_replicas for k, v in limits.items() if "/" in k and v.isdecimal()
    }
    own: dict[str, object] = {
        "namespace": policy.namespace, "mode": serving.mode, "runtime": serving.served_by,
        "runtime_version": serving.runtime_version, "format": serving.format, "accelerators": kinds,
        "has_baseline": policy.load.baseline == "dedicated", "policy": policy,
    }  # fmt: skip
    return Wanted(**(own | {key: value for key, value in flags.items() if value}))  # type: ignore[arg-type]
