"""The tests' own real parts do what the other tests take for granted."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AppImages
from tests.real.daemons import Alertmanager, Binaries, Prometheus
from tests.real.engine import DockerEngine
from tests.real.processes import fetch, run, spawn, wait_for
from tests.real.project import APP, MINIO, Project

REVISION = "org.opencontainers.image.revision"


class _Peer(ThreadingHTTPServer):
    """A scrape target and a webhook receiver in one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PeerHandler)
        self.received: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _PeerHandler(BaseHTTPRequestHandler):
    server: _Peer

    def do_GET(self) -> None:
        body = b"peer_up 1\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.received.append(
            json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        )
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at what was received."""


@pytest.fixture
def peer() -> Iterator[_Peer]:
    server = _Peer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project(engine: DockerEngine, app_images: AppImages, tmp_path: Path) -> Iterator[Project]:
    made = Project(engine, tmp_path / "project", app_images.v1.tag)
    yield made
    made.down()


@pytest.mark.engine
class TestEngine:
    def test_a_container_of_the_base_image_runs_python_3_11(
        self, engine: DockerEngine, python_image: str
    ) -> None:
        said = engine.docker(
            "run", "--rm", "--network=none", python_image, "python", "-c",
            "import sqlite3, ssl, sys; print(sys.version_info[:2])",
        )  # fmt: skip
        assert said == "(3, 11)\n"

    def test_a_restart_policy_counts(self, engine: DockerEngine, python_image: str) -> None:
        container = engine.client.containers.run(
            python_image,
            ["python", "-c", "raise SystemExit(7)"],
            detach=True,
            network_mode="none",
            restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
        )

        def ended() -> bool:
            container.reload()
            return bool(container.attrs["State"]["Status"] == "exited")

        wait_for(ended, "the last restart")
        assert container.attrs["RestartCount"] == 2
        assert container.attrs["State"]["ExitCode"] == 7
        container.remove()

    def test_it_has_no_default_bridge_and_its_mounts_are_its_own(
        self, engine: DockerEngine
    ) -> None:
        assert "bridge" not in engine.docker("network", "ls", "--format", "{{.Driver}}").split()
        assert str(engine.directory) not in Path("/proc/mounts").read_text()


@pytest.mark.engine
class TestProject:
    def test_it_comes_up_answers_turns_bad_and_goes(
        self, engine: DockerEngine, app_images: AppImages, project: Project
    ) -> None:
        project.up()
        wait_for(lambda: fetch(project.app_url + "/api/health")[0] == 200, "a healthy app")
        wait_for(lambda: fetch(project.minio_url + "/minio/health/live")[0] == 200, "storage")
        for name in (APP, MINIO):
            _wait_for_health(engine, name, "healthy")

        project.write(app_images.v2.tag)
        project.up()
        app = engine.client.containers.get(APP)
        assert app.labels[REVISION] == app_images.v2.revision
        _wait_for_health(engine, APP, "unhealthy")

        project.down()
        assert engine.client.containers.list(all=True) == []


def _wait_for_health(engine: DockerEngine, name: str, health: str) -> None:
    def reached() -> bool:
        state = engine.client.containers.get(name).attrs["State"]
        return bool(state["Health"]["Status"] == health)

    wait_for(reached, f"{name} to be {health}")


@pytest.mark.daemons
class TestDaemons:
    def test_prometheus_scrapes_and_reloads(
        self, binaries: Binaries, peer: _Peer, tmp_path: Path
    ) -> None:
        scrape = "scrape_configs: [{job_name: peer, scrape_interval: 1s, static_configs: [{targets: ['%s']}]}]\n"
        prometheus = Prometheus(binaries.prometheus, tmp_path, scrape % peer.address)
        prometheus.start()
        query = f"{prometheus.url}/api/v1/query?query=peer_up"
        wait_for(lambda: b'"1"' in fetch(query)[1], "the first scrape")
        rules = "groups: [{name: g, rules: [{alert: Peer, expr: peer_up == 1}]}]\n"
        prometheus.write("rule_files: [rules.yml]\n" + scrape % peer.address, {"rules.yml": rules})
        prometheus.reload()
        assert b'"Peer"' in fetch(f"{prometheus.url}/api/v1/rules")[1]
        run([binaries.promtool, "check", "config", prometheus.config_file])
        prometheus.write("nonsense: true\n")
        with pytest.raises(AssertionError, match="nonsense"):
            prometheus.reload()
        prometheus.stop()

    def test_alertmanager_delivers_a_webhook(
        self, binaries: Binaries, peer: _Peer, tmp_path: Path
    ) -> None:
        shared = sorted(Path("/usr/share").iterdir())
        alertmanager = Alertmanager(binaries.alertmanager, tmp_path, _routing(peer))
        run([binaries.amtool, "check-config", alertmanager.config_file])
        alertmanager.start()
        _fire(alertmanager)
        wait_for(lambda: peer.received, "the webhook")
        assert peer.received[0]["version"] == "4"
        assert peer.received[0]["alerts"][0]["labels"]["alertname"] == "Peer"
        alertmanager.stop()
        assert sorted(Path("/usr/share").iterdir()) == shared

    def test_two_alertmanagers_find_each_other(
        self, binaries: Binaries, peer: _Peer, tmp_path: Path
    ) -> None:
        first = Alertmanager(
            binaries.alertmanager, tmp_path / "first", _routing(peer), clustered=True
        )
        second = Alertmanager(
            binaries.alertmanager, tmp_path / "second", _routing(peer), peer=first
        )
        for one in (first, second):
            one.start()
        for one in (first, second):
            wait_for(functools.partial(_sees_both, one), "both in the cluster")
        for one in (first, second):
            one.stop(grace_seconds=0)


def _routing(peer: _Peer) -> str:
    return (
        "route: {receiver: peer, group_wait: 0s, group_interval: 1s}\n"
        f"receivers: [{{name: peer, webhook_configs: [{{url: 'http://{peer.address}/'}}]}}]\n"
    )


def _fire(alertmanager: Alertmanager) -> None:
    body = json.dumps([{"labels": {"alertname": "Peer"}}]).encode()
    assert fetch(f"{alertmanager.url}/api/v2/alerts", "POST", body)[0] == 200


def _sees_both(alertmanager: Alertmanager) -> bool:
    status = json.loads(fetch(f"{alertmanager.url}/api/v2/status")[1])
    return len(status["cluster"].get("peers", [])) == 2


class TestProcesses:
    def test_a_stubborn_process_is_ended_by_its_id(self, tmp_path: Path) -> None:
        stubborn = spawn(
            ["sh", "-c", "trap '' TERM; echo deaf; while :; do :; done"], tmp_path / "log"
        )
        wait_for(lambda: "deaf" in stubborn.tail(), "it to be deaf", process=stubborn)
        stubborn.stop(grace_seconds=0.1)
        assert not stubborn.running

    def test_waiting_tells_what_the_process_said_when_it_ended(self, tmp_path: Path) -> None:
        failing = spawn(["sh", "-c", "echo no such luck; exit 3"], tmp_path / "log")
        with pytest.raises(AssertionError, match=r"(?s)waited for luck.*has ended.*no such luck"):
            wait_for(lambda: False, "luck", process=failing)
        failing.stop()
