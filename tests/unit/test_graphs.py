"""The dashboard that a card links to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from receiver.telling.graphs import graph_url

GRAFANA = "http://pi.lan:3001"
SINCE = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
FROM = int(SINCE.timestamp() - 3600) * 1000


@pytest.mark.parametrize(
    ("labels", "url"),
    [
        ({"category": "performance"}, f"{GRAFANA}/d/sermon-application?from={FROM}&to=now"),
        ({"category": "resource"}, f"{GRAFANA}/d/sermon-host?from={FROM}&to=now"),
        (
            {"category": "container", "name": "sermon&x=1"},
            f"{GRAFANA}/d/sermon-containers?from={FROM}&to=now&var-container=sermon%26x%3D1",
        ),
        ({"category": "../../login"}, ""),
        ({}, ""),
    ],
)
def test_by_category(labels: dict[str, str], url: str) -> None:
    assert graph_url(GRAFANA, labels, SINCE, None) == url


def test_what_is_over_is_shown_until_a_little_after_its_end() -> None:
    until = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
    assert graph_url(GRAFANA, {"category": "health"}, SINCE, until).endswith(
        f"&to={int(until.timestamp() + 900) * 1000}"
    )


def test_without_grafana_there_is_none() -> None:
    assert graph_url(None, {"category": "health"}, SINCE, None) == ""
