"""Another program, which came first to the application's port."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Neighbour(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Elsewhere)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def leave(self) -> None:
        self.shutdown()
        self.server_close()


class _Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """It is not asked for a log."""
