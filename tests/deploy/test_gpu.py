"""The GPU pieces by the rules of their readers: Kubernetes, mig-parted, the device plugin, DCGM, Helm."""

import copy
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.objects.gpu import charts, metrics, scaling, sharing
from deploy.objects.monitoring.dashboards import ALL
from tests.deploy.test_objects import KUBERNETES, check, objects
from tidegate.policy.presets import PRESETS

ROOT = Path(__file__).parents[2]
GPU = ROOT / "deploy" / "gpu"
KEYS = Path(__file__).parent / "charts"
WANTED = {
    "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
}  # fmt: skip
# Slices of compute and of memory that a profile takes of an 80 GB GPU's 7 and 8 (NVIDIA's MIG user guide).
PROFILES = {
    "1g.10gb": (1, 1), "1g.20gb": (1, 2), "2g.20gb": (2, 2), "3g.40gb": (3, 4), "4g.40gb": (4, 4),
    "7g.80gb": (7, 8),
}  # fmt: skip


class Strict(BaseModel):
    """Go's strict decoding: no key that the struct does not have."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class MigConfig(Strict):
    """MigConfigSpec of mig-parted's api/spec/v1/spec.go."""

    devices: Literal["all"] | list[int]
    enabled: bool = Field(alias="mig-enabled")
    mig_devices: dict[str, int] = Field(default_factory=dict, alias="mig-devices")
    device_filter: str | list[str] | None = Field(default=None, alias="device-filter")


class MigSpec(Strict):
    """Spec of the same file."""

    version: Literal["v1"]
    configs: dict[str, list[MigConfig]] = Field(alias="mig-configs")


class Resource(Strict):
    """ReplicatedResource of the plugin's api/config/v1/replicas.go; isReplicated wants more than one."""

    name: str = Field(pattern=r"^nvidia\.com/(gpu|mig-\dg\.\d+gb)$")
    replicas: int = Field(gt=1)


class TimeSlicing(Strict):
    """ReplicatedResources of the same file."""

    rename: bool = Field(alias="renameByDefault")
    fail: bool = Field(alias="failRequestsGreaterThanOne")
    resources: list[Resource]


class Sharing(Strict):
    """Sharing of sharing.go."""

    time_slicing: TimeSlicing = Field(alias="timeSlicing")


class Flags(Strict):
    """CommandLineFlags of flags.go, as far as we set them."""

    mig_strategy: Literal["none", "single", "mixed"] = Field(alias="migStrategy")


class PluginConfig(Strict):
    """Config of config.go."""

    version: Literal["v1"]
    flags: Flags
    sharing: Sharing | None = None


class AdapterRule(Strict):
    """DiscoveryRule of prometheus-adapter's pkg/config/config.go."""

    series: str = Field(alias="seriesQuery")
    resources: dict[Literal["overrides"], dict[str, dict[Literal["resource"], str]]]
    name: dict[Literal["matches", "as"], str]
    query: str = Field(alias="metricsQuery")


def written(name: str) -> dict[str, Any]:
    (found,) = objects(GPU / name)
    return found


# -- MIG


def test_the_mig_layouts_are_what_mig_parted_reads_and_fit_on_the_gpu() -> None:
    spec = MigSpec.model_validate(
        yaml.safe_load(written("mig/config-map.yaml")["data"]["config.yaml"])
    )
    for name, layouts in spec.configs.items():
        for one in layouts:
            assert one.enabled == bool(one.mig_devices), name
            compute = sum(PROFILES[p][0] * count for p, count in one.mig_devices.items())
            memory = sum(PROFILES[p][1] * count for p, count in one.mig_devices.items())
            assert (compute <= 7, memory <= 8) == (True, True), name


def test_the_layout_for_a_release_has_room_for_a_second_copy() -> None:
    for profile, count in sharing.LAYOUTS["tidegate-blue-green"].items():
        assert count >= 2, profile


def test_a_key_that_mig_parted_does_not_know_is_seen() -> None:
    config = copy.deepcopy(sharing.mig_config())
    config["mig-configs"]["all-1g.10gb"][0]["migEnabled"] = True
    with pytest.raises(ValidationError):
        MigSpec.model_validate(config)


# -- time slicing


def test_every_configuration_of_the_device_plugin_is_one_that_it_reads() -> None:
    data = written("time-slicing/config-map.yaml")["data"]
    made = {name: PluginConfig.model_validate(yaml.safe_load(text)) for name, text in data.items()}
    assert made["default"].sharing is None
    for name, one in made.items():
        if one.sharing:
            assert one.sharing.time_slicing.rename, (
                name
            )  # nvidia.com/gpu.shared, never nvidia.com/gpu
            assert one.sharing.time_slicing.fail, name


def test_a_mig_slice_that_is_shared_is_one_that_a_layout_makes() -> None:
    made = {
        f"nvidia.com/mig-{profile}" for layout in sharing.LAYOUTS.values() for profile in layout
    }
    shared = {
        resource["name"]
        for one in sharing.plugin_configs().values()
        for resource in one.get("sharing", {}).get("timeSlicing", {}).get("resources", ())
    }
    assert shared - {"nvidia.com/gpu"} <= made


# -- DCGM


def test_the_exporter_s_list_has_three_columns_and_every_field_that_is_asked_for() -> None:
    text = written("dcgm/config-map.yaml")["data"]["dcgm-metrics.csv"]
    rows = [*csv.reader(text.splitlines(), skipinitialspace=True)]
    assert {len(row) for row in rows} == {3}
    assert {row[1] for row in rows} <= {"gauge", "counter"}
    assert {row[0] for row in rows} >= WANTED
    asked = set(
        re.findall(r"DCGM_\w+", str(PRESETS["dcgm"].queries) + str(ALL["tidegate-gpu"].rows))
    )
    assert asked <= {row[0] for row in rows}


# -- scaling


def test_the_adapter_s_rules_are_of_its_own_config_and_name_a_pod() -> None:
    for rule in scaling.rules():
        read = AdapterRule.model_validate(rule)
        assert re.fullmatch(read.name["matches"], read.series.partition("{")[0])
        assert set(read.resources["overrides"]) == {"namespace", "pod"}
        assert "<<.LabelMatchers>>" in read.query


def test_the_autoscaler_asks_for_metrics_that_the_adapter_makes() -> None:
    item = written("hpa/autoscaler.yaml")
    check(item)
    made = {rule["name"]["as"] for rule in scaling.rules()}
    assert {one["pods"]["metric"]["name"] for one in item["spec"]["metrics"]} <= made


# -- what is written


@pytest.mark.parametrize(
    "path", [*GPU.glob("*/*.yaml")], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_core_object_is_valid_by_kubernetes_own_schema(path: Path) -> None:
    for item in objects(path):
        if item.get("kind") not in (None, "Component"):
            kubernetes_validate.validate(item, KUBERNETES, strict=True)


def paths(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield before + key
        if isinstance(value, dict):
            yield from paths(value, f"{before}{key}.")


@pytest.mark.parametrize(
    ("chart", "values"),
    [
        ("gpu-operator", charts.gpu_operator()),
        ("nvidia-device-plugin", charts.device_plugin()),
        ("dcgm-exporter", charts.dcgm_exporter()),
    ],
)
def test_every_key_of_the_values_is_one_of_the_chart_s_own(
    chart: str, values: dict[str, Any]
) -> None:
    known = set((KEYS / f"{chart}.txt").read_text().split())
    assert set(paths(values)) <= known
    assert not set(paths({"config": {"names": ""}})) <= known  # as a typo would be


def test_the_values_name_the_config_maps_that_the_components_make() -> None:
    names = {
        written(f"{part}/config-map.yaml")["metadata"]["name"]
        for part in ("mig", "time-slicing", "dcgm")
    }
    values = charts.gpu_operator()
    asked = {
        values["migManager"]["config"]["name"],
        values["devicePlugin"]["config"]["name"],
        values["dcgmExporter"]["config"]["name"],
    }
    assert asked == names
    assert values["migManager"]["config"]["default"] in sharing.mig_config()["mig-configs"]
    assert values["devicePlugin"]["config"]["default"] in sharing.plugin_configs()
    assert charts.dcgm_exporter()["extraConfigMapVolumes"][0]["configMap"]["name"] in names
    assert charts.dcgm_exporter()["arguments"][1].endswith(metrics.CSV)
