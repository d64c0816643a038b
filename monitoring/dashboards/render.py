"""Panels to Grafana's JSON, by Grafana's own library of builders (grafana-foundation-sdk)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.dashboards.panel import Board, Panel, Row

SOURCE = model.DataSourceRef(type_val="prometheus", uid="prometheus")
TAG = "sermon-monitor"
_AllPanels = timeseries.Panel | stat.Panel | statetimeline.Panel | table.Panel


def rendered(board: Board) -> str:
    """The file of a board: stable, so that a change is read as a diff."""
    return json.dumps(_board(board).build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _board(board: Board) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            _choice("instance", "Host", 'label_values(up{job="sermon-uploader"}, instance)')
        )
        .annotation(_deployments())
        .annotation(_alerts())
        .link(
            dashboard.DashboardLink("Sermon Monitor")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    if board.by_container:
        names = 'label_values(container_state{job="sermon-uploader",instance=~"$instance"}, name)'
        made = made.with_variable(_choice("container", "Container", names))
    number = 0
    for row in board.rows:
        made = made.with_row(_row(row))
        for panel in row.panels:
            number += 1
            made = made.with_panel(_panel(panel).id(number))
    return made


def _choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"qryType": 1, "query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


def _deployments() -> dashboard.AnnotationQuery:
    """A mark in the minute after another version took over."""
    return (
        dashboard.AnnotationQuery()
        .name("Deployments")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("blue")
        .expr(
            'time() - sermon_uploader_last_deployment_timestamp_seconds{job="sermon-uploader",instance=~"$instance"} < 60'
        )
    )


def _alerts() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Critical alerts")
        .datasource(SOURCE)
        .enable(False)
        .icon_color("red")
        .expr('max by (alertname) (ALERTS{alertstate="firing",severity="critical"})')
    )


def _row(row: Row) -> dashboard.Row:
    return dashboard.Row(row.title)


def _panel(panel: Panel) -> _AllPanels:
    made: _AllPanels = _KINDS[panel.kind](panel)
    made = (
        made.title(panel.title)
        .description(panel.about)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(panel.height)
        .thresholds(_thresholds(panel))
    )
    if panel.words:
        results = {
            value: model.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(panel.words.items())
        }
        made = made.mappings([model.ValueMap(options=results)])
    if panel.decimals is not None:
        made = made.decimals(panel.decimals)
    if panel.least is not None:
        made = made.min(panel.least)
    if panel.most is not None:
        made = made.max(panel.most)
    for index, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + index))
        target = target.legend_format(query.legend or "__auto")
        now = panel.kind in ("number", "table")
        target = target.instant() if now else target.range()
        if panel.kind == "table":
            target = target.format(PromQueryFormat.TABLE)
        made = made.with_target(target)
    return made


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [model.Threshold(value=None, color=panel.below)]
    steps += [model.Threshold(value=value, color=colour) for value, colour in panel.limits]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _graph(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(20 if panel.stacked else 8)
        .show_points(shapes.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(shapes.TooltipDisplayMode.MULTI)
            .sort(shapes.SortOrder.DESCENDING)
        )
    )
    if panel.stacked:
        made = made.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if panel.limits:
        dashed = common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        made = made.thresholds_style(dashed)
    return made


def _number(panel: Panel) -> stat.Panel:
    named = panel.shows == "name"
    return (
        stat.Panel()
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .color_mode(shapes.BigValueColorMode.BACKGROUND)
        .text_mode(shapes.BigValueTextMode.NAME if named else shapes.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )


def _states(_panel: Panel) -> statetimeline.Panel:
    made = statetimeline.Panel().merge_values(True).show_value(shapes.VisibilityMode.AUTO)
    return made.line_width(0).fill_opacity(70)


def _table(_panel: Panel) -> table.Panel:
    hidden = {"excludeByName": {"Time": True, "Value": True, "__name__": True, "job": True}}
    return (
        table.Panel()
        .align(shapes.FieldTextAlignment.AUTO)
        .with_transformation(model.DataTransformerConfig(id_val="organize", options=hidden))
    )


_KINDS: dict[str, Callable[[Panel], Any]] = {
    "graph": _graph,
    "number": _number,
    "states": _states,
    "table": _table,
}
