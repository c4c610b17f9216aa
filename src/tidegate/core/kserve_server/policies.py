"""What of a policy is Triton's, and so nothing for a model that KServe's own server serves. Pure."""

import re
from collections.abc import Iterator

from tidegate.policy import Policy, QueriedObjective
from tidegate.policy.section import Section
from tidegate.policy.serving import EVENT_SOURCE, Keda

SERIES = re.compile(r"\bnv_[a-z]+")
# They name the model, its folder and its port, which a release and the runtime say.
FIXED = ("--model_name", "--model_dir", "--http_port")
MODEL_NAME = "model_name"  # in the URL path, whoever serves it


def unfit(policy: Policy) -> str:
    """The first thing that the server of `serving.format` cannot do, with the remedy; '' for none."""
    found = next(_unfit(policy), "")
    return f"serving.format = {policy.serving.format!r}: {found}" if found else ""


def _unfit(policy: Policy) -> Iterator[str]:
    yield from _of_triton(policy)
    yield from _of_serving(policy)
    yield from _of_scaling(policy)
    yield from _of_load(policy)
    yield from _of_objectives(policy)


def _of_triton(policy: Policy) -> Iterator[str]:
    sections: dict[str, Section] = {
        "triton": policy.triton,
        "optimize": policy.optimize,
        "repository": policy.repository,
    }
    for name, section in sections.items():
        if field := _said(section):
            yield (
                f"{name}.{field} is of Triton's repository, and KServe's own server has none; remove it, or "
                "write format: triton"
            )


def _said(section: Section) -> str:
    """The first field that is not its default; '' when none is."""
    usual = type(section).model_construct()
    return next(
        (
            name
            for name in type(section).model_fields
            if name != MODEL_NAME and getattr(section, name) != getattr(usual, name)
        ),
        "",
    )


def _of_serving(policy: Policy) -> Iterator[str]:
    serving = policy.serving
    if serving.batcher is not None:
        yield (
            "serving.batcher sends the server requests of its own, without the headers by which a release "
            "asks which version answers (kserve pkg/batcher/handler.go); remove it"
        )
    if serving.port == "grpc":
        yield "serving.port = 'grpc' is not released for it; write port: http"
    if serving.transformer and serving.transformer.collocated:
        yield (
            "a collocated serving.transformer is asked by captured v2 requests, for Triton; write "
            "collocated: false, or remove it"
        )
    if EVENT_SOURCE in serving.env:
        yield f"serving.env names {EVENT_SOURCE}, by which a release tells versions apart; remove it"
    if fixed := next((a for a in serving.args if a.partition("=")[0] in FIXED), ""):
        yield f"serving.args says {fixed}, which is not the policy's to say; remove it"
    if not serving.served_by and serving.protocol == "v2":
        yield (
            "serving.runtime = '' lets KServe choose MLServer for v2, whose answers name no version; remove "
            "it, or write protocol: v1"
        )


def _of_scaling(policy: Policy) -> Iterator[str]:
    scaling = policy.serving.scaling
    for one in scaling.triggers if isinstance(scaling, Keda) else ():
        if one.kind == "queue_time" or SERIES.search(one.query):
            yield (
                f"serving.scaling follows {one.query or one.kind}, which Triton alone has; write a "
                "prometheus trigger on what the ingress counts"
            )


def _of_load(policy: Policy) -> Iterator[str]:
    load = policy.load
    if load.protocol == "grpc":
        yield "load.protocol = 'grpc' is not released for it; write protocol: http"
    if load.capture:
        yield "load.capture holds v2 requests for Triton; remove it, and golden rows are sent"
    if load.cross_check:
        yield "load.cross_check is perf_analyzer's, which asks Triton; remove it"


def _of_objectives(policy: Policy) -> Iterator[str]:
    if policy.slo.source.startswith("triton"):
        yield (
            f"slo.source = {policy.slo.source!r} counts by Triton's series; write auto, and the ingress or "
            "the queue-proxy counts"
        )
    for place, one in enumerate(policy.slo.objectives):
        found = SERIES.search(one.text) if isinstance(one, QueriedObjective) else None
        if found:
            yield (
                f"slo.objectives.{place} reads {found.group()}..., which Triton alone has; judge latency or "
                "errors as the ingress counts them"
            )
