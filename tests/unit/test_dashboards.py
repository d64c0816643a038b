"""The dashboards are what their tables say, in Grafana's own shape, and ask for metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards import BOARDS
from monitoring.dashboards.panel import Board, Panel
from monitoring.dashboards.render import rendered
from receiver.deciding.policy import load_policy
from receiver.telling.graphs import BOARDS as BY_CATEGORY

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "monitoring" / "grafana" / "dashboards"
# Of Prometheus itself, of Alertmanager, and what the rules record.
OTHERS = r"ALERTS|prometheus_\w+|alertmanager_\w+|(job|mount|container):\w+:\w+"
PANELS = [(board, panel) for board in BOARDS for row in board.rows for panel in row.panels]
by_title = pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda one: one.title)


@pytest.mark.parametrize("board", BOARDS, ids=lambda one: one.uid)
def test_the_shipped_file_is_what_the_table_says(board: Board) -> None:
    shipped = (FOLDER / f"{board.uid}.json").read_text()
    assert shipped == rendered(board), "make dashboards"


def test_no_other_file_is_shipped() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {board.uid for board in BOARDS}


@pytest.mark.parametrize("board", BOARDS, ids=lambda one: one.uid)
def test_grafanas_library_reads_it_back_as_it_is(board: Board) -> None:
    register_default_plugins()
    told = json.loads(rendered(board))
    again = json.loads(json.dumps(Dashboard.from_json(told), cls=JSONEncoder))
    assert again == told


@by_title
def test_a_panel_says_what_it_shows(board: Board, panel: Panel) -> None:
    assert panel.about.endswith(".")
    assert panel.queries
    assert len(panel.queries) == 1 or all(query.legend for query in panel.queries)


@by_title
def test_a_query_selects_the_chosen_host_and_asks_for_metrics_that_exist(
    board: Board, panel: Panel
) -> None:
    known = set(re.findall(r"^\| `(\w+)", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    for query in panel.queries:
        bare = re.sub(r'"[^"]*"', '""', query.expr)
        asked = set(re.findall(r"(?<![\w:])([a-z]+[:_][\w:]+|ALERTS)(?=[{\[) ]|$)", bare))
        asked -= set(
            re.findall(r"\b\w+_over_time\b|\blabel_\w+|\bclamp_\w+|\bhistogram_quantile\b", bare)
        )
        assert asked, query.expr
        for name in asked:
            base = re.sub(r"_bucket$", "", name)
            family = re.sub(r"^(node_(?:memory|vmstat)|process)_\w+$", r"\1_", base)
            assert base in known or family in known or re.fullmatch(OTHERS, name), name
            if not re.fullmatch(OTHERS, name):
                assert f'{name}{{job="sermon-uploader",instance=~"$instance"' in query.expr


def test_every_category_of_the_table_has_its_board() -> None:
    policy = load_policy(ROOT / "monitoring" / "policy.yml")
    assert {row.category for row in policy.alerts} <= set(BY_CATEGORY)
    assert set(BY_CATEGORY.values()) <= {board.uid for board in BOARDS}
