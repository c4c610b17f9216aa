"""Scaling by GPU: what the Prometheus Adapter makes of DCGM's and Triton's series, and an HPA by it.

The adapter's rules are data of its own config (kubernetes-sigs/prometheus-adapter pkg/config/config.go).
"""

from deploy.objects.metadata import LABELS, Json

WHO = {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}
UTILISATION, ENGINE, QUEUE = "gpu_utilization", "gpu_engine_active", "triton_queue_milliseconds"


def rules() -> list[Json]:
    """Three metrics of a pod: percent of the GPU, permille of a MIG slice, mean ms in Triton's queue."""
    by = "(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
    waited = "sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)"
    asked = waited.replace("<<.Series>>", "nv_inference_request_success")
    return [
        _rule("DCGM_FI_DEV_GPU_UTIL", UTILISATION, f"avg{by}"),
        _rule("DCGM_FI_PROF_GR_ENGINE_ACTIVE", ENGINE, f"1000 * avg{by}"),
        _rule("nv_inference_queue_duration_us", QUEUE, f"{waited} / ({asked} > 0) / 1000"),
    ]


def _rule(series: str, name: str, query: str) -> Json:
    return {
        "seriesQuery": f'{series}{{namespace!="",pod!=""}}',
        "resources": {"overrides": WHO},
        "name": {"matches": f"^{series}$", "as": name},
        "metricsQuery": query,
    }


def autoscaler() -> Json:
    """An HPA for a predictor in Standard mode with `serving.kserve.io/autoscalerClass: external`.

    `digits` stands for the user's service. It waits longer to shrink than a bake takes:
    replicas that vanish while a candidate is judged would be judged, too.
    """
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "digits-predictor"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "digits-predictor-gpu", "labels": dict(LABELS)},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": 1,
            "maxReplicas": 4,
            "metrics": [_pods(UTILISATION, "70"), _pods(QUEUE, "20")],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 900}},
        },
    }


def _pods(name: str, average: str) -> Json:
    target = {"type": "AverageValue", "averageValue": average}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}
