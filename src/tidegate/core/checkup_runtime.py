"""Whether the serving runtime is there, and will read what a release builds. Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate.core.checkup import Check, fail, ok, warn
from tidegate.policy.serving import OWN_RUNTIME, SERVERS

Json = Mapping[str, Any]
OLDEST_TRITON = (24, 10)  # 2.51, what a default policy is linted for


def runtime_of(name: str, found: Json | None, *, version: str) -> Check:
    """The ServingRuntime is there, and its Triton is not older than any that is known to read our models."""
    title = f"serving runtime {name}"
    if name in SERVERS.values():
        return _of_kserve(title, found)
    if found is None:
        return fail(
            title,
            "not there",
            f"kubectl apply -k deploy/overlays/... puts {OWN_RUNTIME} into the runs' namespace; or name "
            "another one as serving.runtime",
        )
    images = [str(one.get("image", "")) for one in found.get("spec", {}).get("containers", ())]
    tag = version or next((one.rpartition(":")[2] for one in images if "triton" in one), "")
    year, _, month = tag.partition("-")[0].partition(".")
    if not (year.isdecimal() and month.isdecimal()):
        return warn(
            title, f"its Triton cannot be told ({tag or 'no tag'})", "see that it is 24.10 or newer"
        )
    if (int(year), int(month)) < OLDEST_TRITON:
        return fail(
            title, f"Triton {tag} does not read what a release builds",
            f"use serving.runtime: {OWN_RUNTIME}, the default, or set serving.runtime_version",
        )  # fmt: skip
    return ok(title, f"Triton {tag}")


def _of_kserve(title: str, found: Json | None) -> Check:
    """KServe's own server of a format, as its resources install it."""
    if found is None:
        return fail(
            title,
            "not there",
            "install KServe's ClusterServingRuntimes (its chart kserve-resources has them), or name another "
            "one as serving.runtime",
        )
    if found.get("spec", {}).get("disabled"):
        return fail(title, "disabled", "enable it, or name another one as serving.runtime")
    images = [str(one.get("image", "")) for one in found.get("spec", {}).get("containers", ())]
    return ok(title, ", ".join(images) or "there")
