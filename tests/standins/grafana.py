"""A stand-in for Grafana, which cannot be had here: one file, Python's standard library.

It reads what the real one is given, with the real one's user, and says at /api/health whether it could:
the administrator's password, the provisioned data source, the dashboards. It keeps, in the real one's
volume, how often it has been started. It draws nothing.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PORT = 3000
STARTS = Path("/var/lib/grafana/starts")
PROVISIONING = Path("/etc/grafana/provisioning")
DASHBOARDS = Path("/etc/sermon-monitor/dashboards")


def seen() -> dict[str, object]:
    """Raises OSError where something cannot be read."""
    password = Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text()
    home = Path(os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    return {
        "database": "ok",
        "password": len(password.strip()) >= 16,
        "home": json.loads(home.read_text())["uid"],
        "provisioned": sorted(path.name for path in PROVISIONING.glob("*/*.yml")),
        "dashboards": len(list(DASHBOARDS.glob("*.json"))),
        "starts": int(STARTS.read_text()),
    }


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            status, told = 200, seen()
        except (OSError, ValueError, KeyError) as problem:
            status, told = 503, {"database": "failing", "why": str(problem)}
        body = json.dumps(told).encode() if self.path == "/api/health" else b"a stand-in of Grafana"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Its log says nothing."""


if __name__ == "__main__":
    before = int(STARTS.read_text()) if STARTS.exists() else 0
    STARTS.write_text(str(before + 1))
    HTTPServer(("", PORT), Page).serve_forever()
