"""What KEDA asks Prometheus, per kind of trigger. Pure.

The answer is compared as it is (metric type Value, the only one that KServe's webhook takes, VAL:610-620), so
each query answers with one number that is an average over the replicas.
"""

from tidegate.policy.serving import Trigger

WINDOW = "1m"


def threshold_of(trigger: Trigger) -> str:
    """The value in all its digits; six would be another threshold from a million on."""
    return f"{trigger.threshold:.15g}"


def query_of(trigger: Trigger, *, namespace: str, pods: str) -> str:
    """The query of one trigger over the pods whose names match `pods` (RE2, anchored by PromQL).

    queue_time: ms in Triton's queue per request (nv_inference_queue_duration_us is cumulative, in us).
    gpu_utilization: % of the GPUs that the pods hold, as the DCGM exporter labels them by pod.
    """
    if trigger.kind == "prometheus":
        return trigger.query
    held = f'namespace="{namespace}",pod=~"{pods}"'
    if trigger.kind == "gpu_utilization":
        return f"avg(DCGM_FI_DEV_GPU_UTIL{{{held}}})"
    waited = f"sum(rate(nv_inference_queue_duration_us{{{held}}}[{WINDOW}]))"
    asked = f"sum(rate(nv_inference_request_success{{{held}}}[{WINDOW}]))"
    return f"{waited} / 1000 / ({asked} > 0)"
