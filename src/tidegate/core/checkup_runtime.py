"""Whether the serving runtime is there, and will read what a release builds. Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate.core.checkup import Check, fail, ok, warn
from tidegate.policy.serving import OWN_RUNTIME, TRITON

Json = Mapping[str, Any]
OLDEST_TRITON = (24, 10)  # 2.51, what a default policy is linted for


def runtime_of(name: str, found: Json | None, *, version: str, format_: str = TRITON) -> Check:
    """The ServingRuntime is there, and serves the format; its Triton is not older than any that is known to
    read our models. A name of '' lets KServe choose by the format."""
    title = f"serving runtime {name}".rstrip()
    if not name:
        return warn(title, f"KServe chooses one for {format_}", "name one as serving.runtime")
    if format_ != TRITON:
        return _of_format(title, found, format_)
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


def _of_format(title: str, found: Json | None, format_: str) -> Check:
    """A server of another format, KServe's own or one that the policy names."""
    if found is None:
        return fail(
            title,
            "not there",
            "install KServe's ClusterServingRuntimes (its chart kserve-resources has them), or name another "
            "one as serving.runtime",
        )
    if found.get("spec", {}).get("disabled"):
        return fail(title, "disabled", "enable it, or name another one as serving.runtime")
    served = [
        str(one.get("name")) for one in found.get("spec", {}).get("supportedModelFormats", ())
    ]
    if format_ not in served:
        return fail(
            title, f"serves {', '.join(served) or 'no format'}, not {format_}",
            f"name a serving.runtime whose supportedModelFormats has {format_}",
        )  # fmt: skip
    images = [str(one.get("image", "")) for one in found.get("spec", {}).get("containers", ())]
    return ok(title, ", ".join(images) or "there")
