"""NVIDIA's DCGM exporter, with Kubernetes' names of pods (its `-k` flag, or the GPU Operator's default).

Where the exporter is scraped without `honorLabels` the pod is `exported_pod`: set honorLabels.
https://github.com/NVIDIA/dcgm-exporter/blob/main/etc/default-counters.csv
"""

from tidegate.policy.presets.preset import Preset

_WHO = 'namespace="$namespace",pod=~"$pods"'
DCGM = Preset(
    name="dcgm",
    versions="dcgm-exporter 3 and 4",
    metrics=frozenset(
        {
            "DCGM_FI_DEV_GPU_UTIL",
            "DCGM_FI_DEV_MEM_COPY_UTIL",
            "DCGM_FI_DEV_ENC_UTIL",
            "DCGM_FI_DEV_DEC_UTIL",
            "DCGM_FI_DEV_FB_USED",
            "DCGM_FI_DEV_FB_FREE",
            "DCGM_FI_DEV_FB_RESERVED",
            "DCGM_FI_DEV_SM_CLOCK",
            "DCGM_FI_DEV_MEM_CLOCK",
            "DCGM_FI_DEV_GPU_TEMP",
            "DCGM_FI_DEV_MEMORY_TEMP",
            "DCGM_FI_DEV_POWER_USAGE",
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
            "DCGM_FI_DEV_XID_ERRORS",
            "DCGM_FI_DEV_PCIE_REPLAY_COUNTER",
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
            "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
            "DCGM_FI_PROF_DRAM_ACTIVE",
        }
    ),
    queries={
        "gpu_utilisation": f"avg(DCGM_FI_DEV_GPU_UTIL{{{_WHO}}}) / 100",
        "gpu_memory": f"max(DCGM_FI_DEV_FB_USED{{{_WHO}}} / "
        f"(DCGM_FI_DEV_FB_USED{{{_WHO}}} + DCGM_FI_DEV_FB_FREE{{{_WHO}}}))",
        "gpu_power_w": f"sum(DCGM_FI_DEV_POWER_USAGE{{{_WHO}}})",
        "xid_errors": f"max(DCGM_FI_DEV_XID_ERRORS{{{_WHO}}})",
    },
)
PRESETS = (DCGM,)
