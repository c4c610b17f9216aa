"""GPUs by NVIDIA's DCGM exporter: how busy, how full, how hot, and which pod has them."""

from deploy.objects.monitoring.dashboards.panel import Dashboard, Variable, panel

WHO = 'namespace=~"$namespace",pod=~"$pod"'
LEGEND = "{{Hostname}} GPU {{gpu}} {{GPU_I_PROFILE}} {{pod}}"
USED, FREE = f"DCGM_FI_DEV_FB_USED{{{WHO}}}", f"DCGM_FI_DEV_FB_FREE{{{WHO}}}"
BUSY = (
    panel(
        "Utilisation",
        "percent",
        f"DCGM_FI_DEV_GPU_UTIL{{{WHO}}}",
        LEGEND,
        description="Time in which any kernel ran. A MIG slice has none: see the graphics engine.",
    ),
    panel(
        "Graphics engine active",
        "percentunit",
        f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{WHO}}}",
        LEGEND,
        description="Per MIG slice too. Needs the exporter's SYS_ADMIN capability.",
    ),
    panel("Memory bandwidth", "percent", f"DCGM_FI_DEV_MEM_COPY_UTIL{{{WHO}}}", LEGEND),
    panel(
        "SM clock",
        "hertz",
        f"DCGM_FI_DEV_SM_CLOCK{{{WHO}}} * 1e6",
        LEGEND,
        description="A clock that falls under load: the GPU is too hot or short of power.",
    ),
)
FULL = (
    panel("Memory used", "percentunit", f"{USED} / ({USED} + {FREE})", LEGEND, look="gauge"),
    panel("Memory used", "mbytes", USED, LEGEND),
    panel("Memory free", "mbytes", FREE, LEGEND),
)
STATE = (
    panel("Temperature", "celsius", f"DCGM_FI_DEV_GPU_TEMP{{{WHO}}}", LEGEND),
    panel("Power", "watt", f"DCGM_FI_DEV_POWER_USAGE{{{WHO}}}", LEGEND),
    panel("Last XID error", "short", f"DCGM_FI_DEV_XID_ERRORS{{{WHO}}}", LEGEND, look="stat"),
)
DASHBOARD = Dashboard(
    uid="tidegate-gpu",
    title="tidegate / GPU",
    description="DCGM's figures of the GPUs that predictors use.",
    variables=(
        Variable(name="namespace", metric="DCGM_FI_DEV_GPU_UTIL", label="namespace"),
        Variable(name="pod", metric="DCGM_FI_DEV_GPU_UTIL", label="pod"),
    ),
    rows=(("Busy", BUSY), ("Full", FULL), ("State", STATE)),
    annotated=True,
)
