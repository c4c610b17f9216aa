"""A dashboard in Grafana's JSON, through grafana-foundation-sdk."""

import json
from collections.abc import Callable
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import gauge, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.common import TimeZoneBrowser
from grafana_foundation_sdk.models.dashboard import Dashboard as Loaded
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.objects.monitoring.dashboards.panel import Dashboard, Look, Panel, Query, Variable

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")
GRAFANA = DataSourceRef(type_val="grafana", uid="-- Grafana --")
BUILDERS: dict[Look, Callable[[], Any]] = {
    "timeseries": timeseries.Panel,
    "stat": stat.Panel,
    "gauge": gauge.Panel,
    "timeline": statetimeline.Panel,
    "table": table.Panel,
}
INSTANT: tuple[Look, ...] = ("stat", "gauge", "table")
WIDTH, NARROW, HEIGHT = 24, 8, 8


def text(one: Dashboard) -> str:
    """As Grafana imports it and its provisioning reads it.

    Written as the library reads it back: some defaults of a panel it adds only then.
    """
    register_default_plugins()
    built = JSONEncoder().encode(_dashboard(one).build())
    loaded = Loaded.from_json(json.loads(built))
    return JSONEncoder(sort_keys=True, indent=2).encode(loaded) + "\n"


def _dashboard(one: Dashboard) -> build.Dashboard:
    made = (
        build.Dashboard(one.title)
        .uid(one.uid)
        .description(one.description)
        .tags(["tidegate"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone(TimeZoneBrowser)
        .with_variable(build.DatasourceVariable("datasource").type("prometheus"))
    )
    for variable in one.variables:
        made = made.with_variable(_variable(variable))
    for title, panels in one.rows:
        made = made.with_row(build.Row(title))
        for panel in panels:
            made = made.with_panel(_panel(panel))
    return made.annotation(_annotations()) if one.annotated else made


def _variable(one: Variable) -> build.QueryVariable:
    return (
        build.QueryVariable(one.name)
        .query(f"label_values({one.metric}, {one.label})")
        .datasource(PROMETHEUS)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".+")
        .multi(True)
    )


def _panel(one: Panel) -> Any:
    made = BUILDERS[one.look]().title(one.title).unit(one.unit).description(one.description)
    made = made.datasource(PROMETHEUS).height(HEIGHT).span(WIDTH if one.wide else NARROW)
    if one.look in ("stat", "gauge"):
        made = made.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    if one.look == "gauge" and one.unit == "percentunit":
        made = made.min(0).max(1)
    for at, query in enumerate(one.queries):
        made = made.with_target(_target(query, "ABCDEFGH"[at], one.look))
    return made


def _target(one: Query, ref_id: str, look: Look) -> Dataquery:
    made = Dataquery().expr(one.promql).legend_format(one.legend).ref_id(ref_id)
    made = made.instant() if look in INSTANT else made.range()
    return made.format(PromQueryFormat.TABLE) if look == "table" else made


def _annotations() -> build.AnnotationQuery:
    """What tidegate has noted through Grafana's API: every act on traffic, and every end."""
    noted = build.AnnotationTarget().limit(200).match_any(False).tags(["tidegate"]).type("tags")
    return (
        build.AnnotationQuery()
        .name("Releases")
        .datasource(GRAFANA)
        .enable(True)
        .hide(False)
        .icon_color("purple")
        .target(noted)
    )
