"""The Grafana dashboards: one file a board, one line here. ``python -m monitoring.dashboards`` writes their JSON."""

from __future__ import annotations

from monitoring.dashboards import application, containers, host, overview, pipeline

BOARDS = (overview.BOARD, application.BOARD, containers.BOARD, host.BOARD, pipeline.BOARD)
