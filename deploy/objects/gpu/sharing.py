"""How one GPU serves several predictors: cut by MIG, or taken in turns.

mig-parted's spec (api/spec/v1/spec.go) and the device plugin's config (api/config/v1) as data. A node
chooses by label: nvidia.com/mig.config and nvidia.com/device-plugin.config.
"""

from collections.abc import Mapping

import yaml

from deploy.objects.metadata import LABELS, Json

MIG, PLUGIN = "tidegate-mig-parted", "tidegate-device-plugin"
DISABLED = "all-disabled"
# Of a GPU with 80 GB (A100, H100, H800). A 141 GB H200 has 1g.18gb, 2g.35gb, 3g.71gb, 7g.141gb instead.
LAYOUTS: Mapping[str, Mapping[str, int]] = {
    "all-1g.10gb": {"1g.10gb": 7},
    "all-1g.20gb": {"1g.20gb": 4},
    "all-2g.20gb": {"2g.20gb": 3},
    "all-3g.40gb": {"3g.40gb": 2},
    "all-7g.80gb": {"7g.80gb": 1},
    # A release needs its candidate beside the incumbent: two equal slices, and small ones for the rest.
    "tidegate-blue-green": {"3g.40gb": 2},
    "tidegate-small-canary": {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 2},
}
REPLICAS = (2, 4)


def mig_config() -> Json:
    """What mig-parted reads. `all-disabled` is there, for the operator's default names it."""
    whole: Json = {DISABLED: [{"devices": "all", "mig-enabled": False}]}
    for name, devices in LAYOUTS.items():
        whole[name] = [{"devices": "all", "mig-enabled": True, "mig-devices": dict(devices)}]
    return {"version": "v1", "mig-configs": whole}


def plugin_configs() -> Mapping[str, Json]:
    """By name. `renameByDefault`: a shared GPU is `nvidia.com/gpu.shared`, so that nobody takes it unawares.

    Asking for two replicas gives no more of a GPU than one: such a request is refused.
    """
    made: dict[str, Json] = {"default": _plugin("none")}
    for count in REPLICAS:
        made[f"shared-{count}"] = _plugin("none", {"nvidia.com/gpu": count})
    made["mig-mixed"] = _plugin("mixed")
    shared = {f"nvidia.com/mig-{profile}": 2 for profile in ("1g.10gb", "3g.40gb")}
    made["mig-mixed-shared-2"] = _plugin("mixed", shared)
    return made


def _plugin(mig_strategy: str, replicas: Mapping[str, int] | None = None) -> Json:
    made: Json = {"version": "v1", "flags": {"migStrategy": mig_strategy}}
    if replicas:
        resources = [{"name": name, "replicas": count} for name, count in replicas.items()]
        slicing = {
            "renameByDefault": True,
            "failRequestsGreaterThanOne": True,
            "resources": resources,
        }
        made["sharing"] = {"timeSlicing": slicing}
    return made


def mig() -> Json:
    """One file, `config.yaml`: the MIG manager reads no other key."""
    return _config_map(MIG, {"config.yaml": _text(mig_config())})


def time_slicing() -> Json:
    """A key for each configuration."""
    return _config_map(PLUGIN, {name: _text(one) for name, one in plugin_configs().items()})


def _config_map(name: str, data: Mapping[str, str]) -> Json:
    metadata = {"name": name, "labels": dict(LABELS)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def _text(one: Json) -> str:
    return yaml.safe_dump(one, sort_keys=False)
