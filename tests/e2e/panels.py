"""Whether every panel of every dashboard shows something: its queries, asked of the real Prometheus."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from monitoring.dashboards import BOARDS
from tests.real.processes import fetch, wait_for
from tests.real.project import APP
from tests.real.stage import Stage

_GOLDEN = Path(__file__).resolve().parents[1] / "unit" / "golden"
ELSEWHERE = (
    (_GOLDEN / "host.txt", r"node_thermal_|sermon_monitor_rpi_"),
    (_GOLDEN / "containers_v1.txt", r"container_fs_(reads|writes)_bytes_total"),
)
"""What is told on a Raspberry Pi and not on every machine that runs the tests: a virtual one has no
thermal zone, no firmware to ask, and its kernel may not account disks by container."""
CHOICES = {"$__rate_interval": "1m", "$instance": ".+", "$container": ".+"}


def _pis_own() -> str:
    lines = [
        line
        for path, names in ELSEWHERE
        for line in path.read_text().splitlines(keepends=True)
        if re.search(names, line)
    ]
    return "".join(lines)


@contextmanager
def _raspberry_pi() -> Iterator[str]:
    """The address of an exporter on a Raspberry Pi, played from golden files."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(_pis_own().encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def every_panel_has_data(stage: Stage) -> None:
    """Raises AssertionError naming the panels that stay empty."""
    assert stage.prometheus is not None
    prometheus = stage.prometheus
    with _raspberry_pi() as pi:
        config: dict[str, Any] = yaml.safe_load(prometheus.config_file.read_text())
        config["scrape_configs"][0]["static_configs"][0]["targets"].append(pi)
        itself = f"127.0.0.1:{prometheus.port}"
        config["scrape_configs"].append(
            {"job_name": "prometheus", "static_configs": [{"targets": [itself]}]}
        )
        prometheus.write(yaml.safe_dump(config))
        prometheus.reload()
        stage.engine.docker("update", "--memory", "512m", "--memory-swap", "-1", APP)
        empty = [("", "not asked yet", "")]

        def all_shown() -> bool:
            fetch(f"{stage.project.app_url}/api/upload", "POST")  # without a file: an attempt too
            empty[:] = list(empty_panels(prometheus.url))
            return not empty

        with suppress(AssertionError):  # said below, with the panels' names
            wait_for(all_shown, "the panels", within=60)
        assert not empty, json.dumps(empty, indent=2)


def empty_panels(prometheus: str) -> Iterator[tuple[str, str, str]]:
    """Board, panel and query of whatever has no number to show."""
    for board in BOARDS:
        for panel in (panel for row in board.rows for panel in row.panels):
            for query in panel.queries:
                if not _numbers(prometheus, query.expr):
                    yield board.uid, panel.title, query.expr


def _numbers(prometheus: str, expr: str) -> list[float]:
    for choice, value in CHOICES.items():
        expr = expr.replace(choice, value)
    status, body = fetch(f"{prometheus}/api/v1/query?{urlencode({'query': expr})}")
    told = json.loads(body)
    assert status == 200, f"{expr}: {told}"
    values = [float(one["value"][1]) for one in told["data"]["result"]]
    return [value for value in values if not math.isnan(value)]
