"""Alert rules: a release that nobody ends, traffic that burns, a queue that grows, a GPU that is full.

Each says in its annotations what it means for production and what to run. A severity is `critical` where
production suffers or nobody but a person can act, else `warning`.
"""

from collections.abc import Iterator

from deploy.objects.metadata import Json

WHO = "{{ $labels.namespace }}/{{ $labels.inferenceservice }}"
POD = "{{ $labels.namespace }}/{{ $labels.pod }}"
REVISION = "{{ $labels.namespace }}/{{ $labels.revision }}"
SERVICE = "on (namespace, inferenceservice)"
RUNS = '(tidegate_release_phase{phase!="ENDED"} == 1)'
# A budget of 1 % burnt 14.4 times as fast as it may: 2 % of a month's in an hour (SRE workbook, chapter 5).
BURNING = "0.144"
# Below this rate a single failure is a large ratio.
ENOUGH = "tidegate:revision_requests:rate5m > 0.2"


def groups() -> list[Json]:
    """By what they are about."""
    return [
        {"name": "tidegate.alerts.releases", "rules": list(_releases())},
        {"name": "tidegate.alerts.revisions", "rules": list(_revisions())},
        {"name": "tidegate.alerts.triton", "rules": list(_triton())},
        {"name": "tidegate.alerts.gpu", "rules": list(_gpus())},
    ]


def _alert(name: str, expr: str, wait: str, severity: str, summary: str, description: str) -> Json:
    return {
        "alert": name,
        "expr": expr,
        **({"for": wait} if wait else {}),
        "labels": {"severity": severity, "part_of": "tidegate"},
        "annotations": {"summary": summary, "description": description},
    }


def _releases() -> Iterator[Json]:
    yield _alert(
        "TidegateReleaseStuck",
        f"(time() - tidegate_release_deadline_timestamp_seconds > 600) and {SERVICE} {RUNS}",
        "1m",
        "critical",
        f"A release of {WHO} is past its deadline and nobody has ended it",
        "Its run is dead and the sweep has not returned its traffic. Look at `tidegate status`, then at the "
        "CronJob tidegate-sweep; `tidegate abort` returns the traffic at once.",
    )
    yield _alert(
        "TidegateRollBackFailed",
        "tidegate_release_alarm == 1",
        "",
        "critical",
        f"Production of {WHO} could not be returned to what served before",
        "The release's log and its Event ReleaseRollbackFailed on the InferenceService hold the command to "
        "run by hand.",
    )
    yield _alert(
        "TidegateSpecNotRepaired",
        "tidegate_release_spec_repaired == 0",
        "30m",
        "warning",
        f"Traffic of {WHO} is safe, but its spec still asks for the rejected version",
        "The next change of the object would roll it out. The sweep tries again every three minutes; it "
        "needs room for one more revision.",
    )
    yield _alert(
        "TidegateSweepNotSucceeding",
        'time() - kube_cronjob_status_last_successful_time{cronjob="tidegate-sweep"} > 1200',
        "",
        "critical",
        "The sweep of namespace {{ $labels.namespace }} has not succeeded for 20 minutes",
        "A release whose run dies now keeps its share of traffic until somebody runs `tidegate sweep`.",
    )


def _revisions() -> Iterator[Json]:
    """A candidate is compared with the incumbent beside it; any revision with a budget."""
    shares = 'tidegate_release_traffic_percent{role="%s"}'
    candidate = _worst(f"({shares % 'candidate'} > 0 and {shares % 'candidate'} < 100)")
    incumbent = _worst(f"({shares % 'incumbent'} > 0)")
    yield _alert(
        "TidegateCanaryBurning",
        f"{candidate} > 0.05 unless {SERVICE} ({candidate} <= {SERVICE} 2 * {incumbent})",
        "1m",
        "critical",
        f"The candidate of {WHO} fails {{{{ $value | humanizePercentage }}}} of its requests",
        "More than twice as many as the incumbent beside it. The live gate should be rolling it back; if "
        "`tidegate status` shows that it is not, run `tidegate abort`.",
    )
    yield _alert(
        "TidegateRevisionBurning",
        f"(tidegate:revision_errors:ratio_rate5m > {BURNING} and "
        f"tidegate:revision_errors:ratio_rate1h > {BURNING}) and {ENOUGH}",
        "2m",
        "critical",
        f"{REVISION} fails {{{{ $value | humanizePercentage }}}} of its requests",
        "Over five minutes and over an hour, as {{ $labels.source }} counts them. No release need be under "
        "way: `tidegate rollback` goes back to the version before.",
    )
    yield _alert(
        "TidegatePredictorNotScraped",
        'up{component="predictor"} == 0',
        "5m",
        "warning",
        f"{POD} does not answer Prometheus on {{{{ $labels.instance }}}}",
        "A gate on its metrics is INVALID and promotes nothing. Knative from 1.19 on has queue-proxy metrics "
        "off by default: set request-metrics-protocol: prometheus in config-observability.",
    )


def _worst(share: str) -> str:
    """The error ratio of the revision with this share, by service; of several sources the worst."""
    ratio = f"(tidegate:revision_errors:ratio_rate5m and {ENOUGH})"
    joined = f"{ratio} * on (namespace, revision) group_left (inferenceservice) ({share} > bool 0)"
    return f"(max by (namespace, inferenceservice) ({joined}))"


def _triton() -> Iterator[Json]:
    queue = "Requests wait longer than they are computed. Add replicas or instances, or larger batches; "
    yield _alert(
        "TritonQueueGrowing",
        "tidegate:triton_pending:sum > 10 and deriv(tidegate:triton_pending:sum[10m]) > 0 "
        "and tidegate:triton_queue:share_rate5m > 0.5",
        "5m",
        "warning",
        f"The queue of {{{{ $labels.model }}}} on {POD} grows",
        queue + "`tidegate release` with a capacity objective finds the knee.",
    )
    failed = "sum by (namespace, pod, model) (rate(nv_inference_request_failure[5m]))"
    served = failed.replace("failure", "success")
    yield _alert(
        "TritonRequestsFailing",
        f"{failed} / ({failed} + {served}) > 0.02",
        "5m",
        "warning",
        f"{{{{ $labels.model }}}} on {POD} fails {{{{ $value | humanizePercentage }}}} of its requests",
        "Triton's log of the pod says why; reason is a label of nv_inference_request_failure.",
    )
    yield _alert(
        "TritonGpuMemoryNearlyFull",
        "nv_gpu_memory_used_bytes / nv_gpu_memory_total_bytes > 0.95",
        "10m",
        "warning",
        f"A GPU of {POD} is {{{{ $value | humanizePercentage }}}} full",
        "The next model or a larger batch will not fit. Fewer instances, or a GPU (or MIG profile) with more "
        "memory.",
    )


def _gpus() -> Iterator[Json]:
    used, free = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
    gpu = "GPU {{ $labels.gpu }} of {{ $labels.Hostname }}"
    yield _alert(
        "GpuMemoryNearlyFull",
        f"{used} / ({used} + {free}) > 0.95",
        "10m",
        "warning",
        f"{gpu} is {{{{ $value | humanizePercentage }}}} full ({POD})",
        "A blue/green release needs room for a second copy of the model on it.",
    )
    yield _alert(
        "GpuTooHot",
        "DCGM_FI_DEV_GPU_TEMP > 87",
        "10m",
        "warning",
        f"{gpu} has {{{{ $value }}}} degrees C",
        "It slows down by itself, and latencies with it: a gate would call the candidate slow.",
    )
    yield _alert(
        "GpuXidError",
        "DCGM_FI_DEV_XID_ERRORS > 0",
        "",
        "critical",
        f"{gpu} reports XID {{{{ $value }}}} ({POD})",
        "The driver's or the hardware's error; what the number means is in NVIDIA's table of XID errors.",
    )
