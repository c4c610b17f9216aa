"""Values of NVIDIA's Helm charts and of the Prometheus Adapter's.

Each key is one of the chart's own, which `tests/deploy/test_gpu.py` checks against the list of them.
"""

from deploy.objects.gpu.metrics import CONFIG_MAP
from deploy.objects.gpu.scaling import rules
from deploy.objects.gpu.sharing import DISABLED, MIG, PLUGIN
from deploy.objects.metadata import Json

# The pods of a shared GPU have one device between them; without it the exporter names only one of them.
VIRTUAL_GPUS = [{"name": "KUBERNETES_VIRTUAL_GPUS", "value": "true"}]


def gpu_operator() -> Json:
    """gpu-operator 26.7: everything. Its ServiceMonitor is off: deploy/monitoring has one."""
    return {
        "mig": {"strategy": "mixed"},
        "migManager": {"config": {"name": MIG, "default": DISABLED}},
        "devicePlugin": {"config": {"name": PLUGIN, "default": "default"}},
        "dcgmExporter": {
            "enabled": True,
            "config": {"name": CONFIG_MAP},
            "env": VIRTUAL_GPUS,
            "serviceMonitor": {"enabled": False},
        },
        "gfd": {"enabled": True},
        "nfd": {"enabled": True},
    }


def device_plugin() -> Json:
    """nvidia-device-plugin 0.20 alone, where the driver and the container runtime are the node's own."""
    return {"config": {"name": PLUGIN, "default": "default"}, "gfd": {"enabled": True}}


def dcgm_exporter() -> Json:
    """dcgm-exporter 4 alone. The chart has no place for a CSV: it mounts one of ours over its own."""
    return {
        "arguments": ["-f", "/etc/dcgm-exporter/tidegate/dcgm-metrics.csv"],
        "extraConfigMapVolumes": [{"name": "tidegate-metrics", "configMap": {"name": CONFIG_MAP}}],
        "extraVolumeMounts": [
            {"name": "tidegate-metrics", "mountPath": "/etc/dcgm-exporter/tidegate"}
        ],
        "extraEnv": VIRTUAL_GPUS,
        "serviceMonitor": {"enabled": False},
    }


def prometheus_adapter() -> Json:
    """prometheus-adapter: its rules alone; where Prometheus is, the user says with --set."""
    return {"rules": {"default": False, "custom": rules()}}
