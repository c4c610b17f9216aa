"""What the DCGM exporter exports: a line for each field, in the exporter's own CSV.

https://github.com/NVIDIA/dcgm-exporter/blob/main/etc/default-counters.csv
"""

from deploy.objects.metadata import LABELS, Json

CSV = "dcgm-metrics.csv"  # the key that the GPU Operator mounts (controllers/object_controls.go)
CONFIG_MAP = "tidegate-dcgm-metrics"
FIELDS = {
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "GPU utilization (in %)."),
    "DCGM_FI_DEV_MEM_COPY_UTIL": ("gauge", "Memory utilization (in %)."),
    "DCGM_FI_DEV_FB_USED": ("gauge", "Framebuffer memory used (in MiB)."),
    "DCGM_FI_DEV_FB_FREE": ("gauge", "Framebuffer memory free (in MiB)."),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", "GPU temperature (in C)."),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power draw (in W)."),
    "DCGM_FI_DEV_SM_CLOCK": ("gauge", "SM clock frequency (in MHz)."),
    # The only one of these that a MIG slice has of its own; needs SYS_ADMIN, as all DCGM_FI_PROF_* do.
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": ("gauge", "Ratio of time the graphics engine is active."),
    "DCGM_FI_DEV_XID_ERRORS": ("gauge", "Value of the last XID error encountered."),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": (
        "counter",
        "Total energy consumption since boot (in mJ).",
    ),
}


def csv() -> str:
    """Field, type, help: the exporter wants three columns."""
    return "".join(f"{name}, {kind}, {told}\n" for name, (kind, told) in FIELDS.items())


def config_map() -> Json:
    """For the operator, by `dcgmExporter.config.name`; it must be in the operator's own namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "labels": dict(LABELS)},
        "data": {CSV: csv()},
    }
