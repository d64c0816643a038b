"""A stand-in for the Sermon Uploader and its MinIO: one file, nothing but Python's standard library.

It runs in a container as ``python /app.py``. ROLE=app|minio|single (both in one container),
BEHAVIOUR=good|broken|slow|crash|unhealthy|hungry|warming, MINIO_BEHAVIOUR=good|broken (of MinIO under ROLE=single),
APP_PORT, MINIO_PORT, MINIO_DATA, HOST. The routes, the bodies and the log lines are those of the real
application; its access line is that of gofiber/fiber v2.51.0, middleware/logger.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SLOW_SECONDS = 6.0
WARM_AFTER_SECONDS = 5.0
CRASH_AFTER_SECONDS = 2.0
UPLOADS = ("/api/upload", "/api/uploads/sermon")
CLUSTER = "/minio/health/cluster"
MINIO_HEALTH = ("/minio/health/live", "/minio/health/ready", CLUSTER)
DATA = Path(os.environ.get("MINIO_DATA", "/data"))
BEGAN = time.monotonic()
_OUTPUT = threading.Lock()


def eastern() -> tzinfo:
    """New York, or UTC where the image has no time zone data: as the real application falls back."""
    try:
        return ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        return UTC


EASTERN = eastern()


def go_duration(nanoseconds: int) -> str:
    """As Go's ``time.Duration`` prints itself. Source: pkg.go.dev/time#Duration.String."""
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("\u00b5s", 1_000), ("ms", 1_000_000)):
        if nanoseconds < size * 1_000:
            return f"{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    seconds = f"{_decimal(rest, 1_000_000_000)}s"
    if not minutes:
        return seconds
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}"


def _decimal(value: int, size: int) -> str:
    whole, fraction = divmod(value, size)
    digits = str(fraction).zfill(len(str(size)) - 1).rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)


def access_line(
    now: datetime, status: int, nanoseconds: int, ip: str, method: str, path: str
) -> str:
    """``${time} | ${status} | ${latency} | ${ip} | ${method} | ${path}``; the path without its query."""
    moment = now.astimezone(EASTERN).strftime("%H:%M:%S")
    return f"{moment} | {status} | {go_duration(nanoseconds):>13} | {ip} | {method} | {path}"


def say(line: str) -> None:
    """A line of the access logger: stdout."""
    with _OUTPUT:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def log(words: str) -> None:
    """A line of Go's standard logger: stderr, in the container's own time."""
    stamp = datetime.now(UTC).strftime("%Y/%m/%d %H:%M:%S")
    with _OUTPUT:
        sys.stderr.write(f"{stamp} {words}\n")
        sys.stderr.flush()


def log_eastern(words: str) -> None:
    """The same with the second stamp that the application puts into its own messages."""
    log(f"[{datetime.now(EASTERN).strftime('%Y/%m/%d %H:%M:%S %Z')}] {words}")


class Server(ThreadingHTTPServer):
    """One listener with the behaviour that it shows."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], behaviour: str
    ) -> None:
        self.behaviour = behaviour
        super().__init__(address, handler)


class Handler(BaseHTTPRequestHandler, ABC):
    """Reads the whole body, answers JSON, keeps the connection."""

    protocol_version = "HTTP/1.1"

    @property
    def behaviour(self) -> str:
        return self.server.behaviour if isinstance(self.server, Server) else "good"

    @abstractmethod
    def respond(self, path: str, query: str, body_bytes: int) -> tuple[int, dict[str, object]]:
        """Status and JSON body for this request."""

    def handled(self, status: int, nanoseconds: int, path: str) -> None:
        """Called after each answer."""

    def serve(self) -> None:
        began = time.perf_counter_ns()
        length = int(self.headers.get("Content-Length") or 0)
        while length > 0 and (chunk := self.rfile.read(min(length, 65_536))):
            length -= len(chunk)
        path, _, query = self.path.partition("?")
        status, body = self.respond(path, query, int(self.headers.get("Content-Length") or 0))
        taken = time.perf_counter_ns() - began
        payload = json.dumps(body, separators=(",", ":")).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(payload)
        except ConnectionError:
            self.close_connection = True  # the caller has gone; the request is logged all the same
        self.handled(status, taken, path)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:
        """http.server's own log is silent: the application has its own."""


class App(Handler):
    """The Sermon Uploader."""

    def respond(self, path: str, query: str, body_bytes: int) -> tuple[int, dict[str, object]]:
        if self.behaviour == "slow":
            time.sleep(SLOW_SECONDS)
        if self.behaviour == "broken":
            return 500, {"error": True, "message": "Internal Server Error"}
        reading = self.command in ("GET", "HEAD")
        if path == "/api/health" and reading:
            warming = self.behaviour == "warming" and time.monotonic() - BEGAN < WARM_AFTER_SECONDS
            unhealthy = self.behaviour == "unhealthy" or warming
            return (503, {"status": "unhealthy"}) if unhealthy else (200, health())
        if path == "/api/version" and reading:
            return 200, version()
        if path == "/api/status" and reading:
            return 200, status()
        if path in UPLOADS and self.command == "POST":
            return upload(path, fail=parse_qs(query).get("fail") == ["1"], size=body_bytes)
        return 404, {"error": True, "message": f"Cannot {self.command} {path}"}

    def handled(self, status: int, nanoseconds: int, path: str) -> None:
        ip = str(self.client_address[0])
        say(access_line(datetime.now(UTC), status, nanoseconds, ip, self.command, path))


class MinIO(Handler):
    """MinIO's health endpoints. It has no access log."""

    def respond(self, path: str, query: str, body_bytes: int) -> tuple[int, dict[str, object]]:
        if path in MINIO_HEALTH:
            broken = self.behaviour == "broken" or (path == CLUSTER and not disk_is_known())
            return (503 if broken else 200), {}
        return 403, {"Code": "AccessDenied"}


def health() -> dict[str, object]:
    """Static, as the real one: it checks nothing."""
    return {
        "status": "healthy",
        "timestamp": {"now": "ok"},
        "service": "sermon-uploader-go",
        "version": "1.1.0",
        "fullVersion": "1.1.0-backend",
    }


def version() -> dict[str, object]:
    """The real one never knows its commit either."""
    return {
        "version": "1.1.0",
        "service": "sermon-uploader-backend",
        "fullVersion": "1.1.0-backend",
        "buildTime": "unknown",
        "gitCommit": "unknown",
        "goVersion": "go1.23",
        "features": {},
        "environment": "production",
        "deployedAt": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def status() -> dict[str, object]:
    return {
        "minio_connected": True,
        "bucket_exists": True,
        "file_count": 0,
        "endpoint": "localhost:9000",
        "bucket_name": "sermons",
    }


def upload(path: str, *, fail: bool, size: int) -> tuple[int, dict[str, object]]:
    """One upload; both outcomes are logged twice by the real application."""
    if fail:
        log('ERROR Upload failed method=PutFile filename=sermon.wav error="connection reset"')
        log('ERROR MinIO upload failed handler=Upload filename=sermon.wav error="connection reset"')
        return 500, {"error": True, "message": "Failed to upload file to storage"}
    log(f"INFO Upload successful method=PutFile filename=sermon.wav size={size}")
    log(f"INFO Upload successful handler=Upload filename=sermon.wav size={size}")
    return 200, {"success": True, "message": "File uploaded successfully", "path": path}


def format_disk() -> None:
    """A new disk gets MinIO's mark, as the real one gives it at its first start."""
    mark = DATA / ".minio.sys" / "format.json"
    if DATA.is_dir() and not mark.exists():
        mark.parent.mkdir(exist_ok=True)
        mark.write_text('{"version": "1", "format": "xl-single"}')


def disk_is_known() -> bool:
    """A disk whose mark cannot be read is offline, and without it there is no write quorum."""
    if not DATA.is_dir():
        return True
    try:
        json.loads((DATA / ".minio.sys" / "format.json").read_text())
    except (OSError, ValueError):
        return False
    return True


def stop(_signal: int, _frame: FrameType | None) -> None:
    """At once: as process 1 of a container nothing stops us but ourselves.

    No lock is taken here: the interrupted thread may hold it.
    """
    stamp = datetime.now(UTC).strftime("%Y/%m/%d %H:%M:%S")
    os.write(2, f"{stamp} 🛑 Shutting down gracefully...\n".encode())
    os.write(2, f"{stamp} ✅ Graceful shutdown complete\n".encode())
    os._exit(0)


def servers(environment: dict[str, str]) -> list[Server]:
    """The listeners that ROLE asks for, bound."""
    role = environment.get("ROLE", "app")
    behaviour = environment.get("BEHAVIOUR", "good")
    host = environment.get("HOST", "0.0.0.0")
    listeners = []
    if role in ("app", "single"):
        address = (host, int(environment.get("APP_PORT", "8000")))
        listeners.append(Server(address, App, behaviour))
    if role in ("minio", "single"):
        address = (host, int(environment.get("MINIO_PORT", "9000")))
        own = behaviour if role == "minio" else "good"
        format_disk()
        listeners.append(Server(address, MinIO, environment.get("MINIO_BEHAVIOUR", own)))
    if not listeners:
        raise SystemExit(f"ROLE={role}: allowed: app, minio, single")
    return listeners


def eat() -> None:
    """Take memory until the kernel ends it; without a limit it stops at 1 GiB."""
    eaten = []
    for _ in range(128):
        eaten.append(b"x" * (8 << 20))
        time.sleep(0.02)


def main() -> None:
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, stop)
    listening = servers(dict(os.environ))
    for server in listening:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        if server.RequestHandlerClass is App:
            log_eastern("✅ MinIO connection successful")
            log_eastern(f"🚀 Server starting on port {port}")
            log_eastern(f"🌐 Access at http://your-pi-ip:{port}")
        else:
            log(f"MinIO Object Storage Server listening on port {port}")
    if any(server.behaviour == "crash" for server in listening):
        time.sleep(CRASH_AFTER_SECONDS)
        os.write(2, b"panic: runtime error: invalid memory address\n\ngoroutine 1 [running]:\n")
        os._exit(1)
    if any(server.behaviour == "hungry" for server in listening):
        eat()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
