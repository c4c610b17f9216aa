"""What KServe cannot do in a deployment mode: refused with the reason, and what to write instead."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.policy.serving.whole import Serving

PASSED_BY = {
    "transformer": "a transformer of its own asks the stable predictor's Service alone in Standard mode, so "
    "a canary's share goes past it, or with kserve#5944 to nobody",
    "explainer": "an explainer asks the stable predictor's Service alone in Standard mode: a canary's share "
    "of :explain goes past it, and a promotion takes that Service away from its pods",
}
"""Why KServe cannot release behind them: transformer.go:96-132 and explainer.go:93-126 (who is asked),
HR:689-743 (whose weights), PRED:1000-1035 (the Service that goes before the pods that ask it)."""


def unsupported(serving: "Serving", mode: str) -> str:
    """The first thing that this mode cannot do; '' when it can do all of it, or the mode is not known."""
    ways = {"Knative": _in_knative, "Standard": _in_standard}
    return next(ways[mode](serving), "") if mode in ways else ""


def _in_knative(serving: "Serving") -> Iterator[str]:
    scaling = serving.scaling
    if scaling and scaling.kind == "keda":
        yield (
            "scaling.kind keda does nothing in Knative mode, where KServe ignores it (COMP:82-132); write "
            "kind: kpa with metric concurrency or rps, or serving.mode: Standard"
        )


def _in_standard(serving: "Serving") -> Iterator[str]:
    scaling = serving.scaling
    if scaling and scaling.kind == "kpa":
        yield (
            "scaling.kind kpa is Knative's, and there is none in Standard mode; write kind: hpa, or keda "
            "with a query of the requests per second"
        )
    if serving.min_replicas == 0:
        yield (
            "min_replicas 0 has nobody in Standard mode who would wake it for a request; write 1, or "
            "serving.mode: Knative"
        )
    if serving.transformer and not serving.transformer.collocated:
        yield (
            f"{PASSED_BY['transformer']}; write transformer.collocated: true, or serving.mode: Knative"
        )
    if serving.explainer:
        yield (
            f"{PASSED_BY['explainer']}; serve the explainer as an InferenceService of its own, or write "
            "serving.mode: Knative"
        )
    if serving.monitor.kind == "service":
        yield (
            "monitor.kind service finds nothing in Standard mode, whose Services have no port of Triton's "
            "metrics; write kind: pod"
        )
    if serving.concurrency:
        yield (
            "concurrency is kept by Knative's queue-proxy, and there is none in Standard mode; limit "
            "triton.max_queue_size, or write serving.mode: Knative"
        )
