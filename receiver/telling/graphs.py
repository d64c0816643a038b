"""Which dashboard shows what an alert is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

BOARDS: Mapping[str, str] = {
    "health": "sermon-overview",
    "performance": "sermon-application",
    "storage": "sermon-overview",
    "resource": "sermon-host",
    "container": "sermon-containers",
    "pipeline": "sermon-pipeline",
}
"""The ``category`` label of an alert to the uid of a dashboard in monitoring/grafana/dashboards."""
_BEFORE, _AFTER = timedelta(hours=1), timedelta(minutes=15)


def graph_url(
    grafana: str | None, labels: Mapping[str, str], since: datetime, until: datetime | None
) -> str:
    """The dashboard from an hour before the alert until it is over; "" without Grafana or a board for it."""
    uid = BOARDS.get(labels.get("category", ""))
    if grafana is None or uid is None:
        return ""
    asked = {"from": _milliseconds(since - _BEFORE)}
    asked["to"] = _milliseconds(until + _AFTER) if until else "now"
    if uid == "sermon-containers" and labels.get("name"):
        asked["var-container"] = labels["name"]
    return f"{grafana}/d/{uid}?{urlencode(asked)}"


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
