"""The stand-in application behaves and logs as the real one; it runs as the process that a container runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.standins import app

ACCESS = re.compile(r"^(\d{2}:\d{2}:\d{2}) \| +?(\d{3}) \| +(\S+) \| (\S+) \| ([A-Z]+) \| (.*)$")
DURATION = re.compile(r"-?(\d+(\.\d+)?(h|ms|m|s|µs|us|ns))+")
STD_LOG = re.compile(r"^\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2} ")


class Running(NamedTuple):
    """A started stand-in and where it listens."""

    process: subprocess.Popen[str]
    app_port: int
    minio_port: int

    def ask(self, path: str, method: str = "GET", port: int | None = None) -> int:
        url = f"http://127.0.0.1:{port or self.app_port}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def started(self, words: str) -> None:
        """Read stderr until it says so."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            assert STD_LOG.match(line)
            if words in line:
                return
        raise AssertionError(f"ended without {words!r}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(**environment: str) -> Iterator[Running]:
    app_port, minio_port = free_port(), free_port()
    ports = {"APP_PORT": str(app_port), "MINIO_PORT": str(minio_port), "HOST": "127.0.0.1"}
    with subprocess.Popen(
        [sys.executable, str(Path(app.__file__))],
        env={**os.environ, **ports, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process, app_port, minio_port)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("nanoseconds", "printed"),
    [
        (0, "0s"),
        (450, "450ns"),
        (123_456, "123.456\u00b5s"),
        (1_234_567, "1.234567ms"),
        (123_456_789, "123.456789ms"),
        (1_500_000_000, "1.5s"),
        (12_345_678_901, "12.345678901s"),
        (63_200_000_000, "1m3.2s"),
        (3_723_000_000_000, "1h2m3s"),
        (3_723_456_789_012, "1h2m3.456789012s"),
    ],
)
def test_durations_as_go_prints_them(nanoseconds: int, printed: str) -> None:
    assert app.go_duration(nanoseconds) == printed
    assert DURATION.fullmatch(printed)


def test_the_access_line_is_fibers() -> None:
    noon = datetime(2026, 1, 15, 17, 4, 5, tzinfo=UTC)
    line = app.access_line(noon, 200, 123_456, "10.0.0.1", "GET", "/api/health")
    assert line == "12:04:05 | 200 |     123.456\u00b5s | 10.0.0.1 | GET | /api/health"
    long = app.access_line(noon, 200, 3_723_456_789_012, "10.0.0.1", "POST", "/api/upload")
    assert " | 1h2m3.456789012s | " in long


def test_a_good_app_answers_and_logs_each_request() -> None:
    with running() as one:
        one.started("Access at")
        for method, path, status in (
            ("GET", "/api/health", 200),
            ("HEAD", "/api/health", 200),
            ("GET", "/api/version?x=1", 200),
            ("GET", "/api/status", 200),
            ("POST", "/api/upload", 200),
            ("POST", "/api/uploads/sermon?fail=1", 500),
            ("GET", "/nothing", 404),
        ):
            assert one.ask(path, method) == status
            match = ACCESS.match(one.line())
            assert match is not None
            assert DURATION.fullmatch(match[3])
            assert (int(match[2]), match[4], match[5]) == (status, "127.0.0.1", method)
            assert match[6] == path.partition("?")[0]
        one.started("ERROR MinIO upload failed handler=Upload")


@pytest.mark.parametrize(
    ("behaviour", "health", "status"), [("broken", 500, 500), ("unhealthy", 503, 200)]
)
def test_bad_behaviours(behaviour: str, health: int, status: int) -> None:
    with running(BEHAVIOUR=behaviour) as one:
        one.started("Access at")
        assert (one.ask("/api/health"), one.ask("/api/status")) == (health, status)


def test_a_crash_ends_with_1() -> None:
    with running(BEHAVIOUR="crash") as one:
        assert one.process.wait(20) == 1


def test_sigterm_ends_with_0_at_once() -> None:
    with running() as one:
        one.started("Access at")
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(10) == 0


@pytest.mark.parametrize(("behaviour", "status"), [("good", 200), ("broken", 503)])
def test_minio_says_how_it_is(behaviour: str, status: int) -> None:
    with running(ROLE="minio", BEHAVIOUR=behaviour) as one:
        one.started("MinIO Object Storage")
        for path in app.MINIO_HEALTH:
            assert one.ask(path, port=one.minio_port) == status


def test_minio_without_its_disks_mark_lives_and_has_no_quorum(tmp_path: Path) -> None:
    with running(ROLE="minio", MINIO_DATA=str(tmp_path)) as one:
        one.started("MinIO Object Storage")
        assert one.ask(app.CLUSTER, port=one.minio_port) == 200
        (tmp_path / ".minio.sys" / "format.json").write_text("")
        assert one.ask(app.CLUSTER, port=one.minio_port) == 503
        assert one.ask("/minio/health/live", port=one.minio_port) == 200


def test_both_in_one_container() -> None:
    with running(ROLE="single", BEHAVIOUR="broken") as one:
        one.started("MinIO Object Storage")
        assert one.ask("/api/health") == 500
        assert one.ask("/minio/health/live", port=one.minio_port) == 200


def test_a_role_that_is_none_is_said() -> None:
    with running(ROLE="frontend") as one:
        assert one.process.wait(10) == 1
        assert one.process.stderr is not None
        assert "allowed: app, minio, single" in one.process.stderr.read()
