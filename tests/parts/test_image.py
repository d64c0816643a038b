"""The image that the compose file runs, built for real."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from tests.parts.backup_kit import Place, fill
from tests.parts.test_compose import FILE, ROOT
from tests.parts.test_web_config import MUTUAL, lay_out
from tests.real.engine import DockerEngine
from tests.real.layers import everything, showing
from tests.real.machine import shows_this_machine
from tests.real.processes import run, wait_for
from tests.real.storage import Storage


def test_the_dockerfile_builds_anywhere() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "RUN --mount" not in text
    assert not text.startswith("# syntax")
    assert "--require-hashes" in text
    datasource = ROOT / "monitoring/grafana/provisioning/datasources/datasources.yml"
    assert (
        yaml.safe_load(datasource.read_text())["datasources"][0]["url"] == "http://prometheus:9090"
    )


TAG = "sermon-monitor:test"
PLANTED = "pl4nted-t0ken"
PLACES = (
    *(".env", ".env.local", "monitoring/.env", "deploy/.env", "target/.env", ".netrc", ".git/config"),
    *("secrets/webhook_token", "monitoring/secrets/webhook_token", "state/receiver.sqlite3"),
    *("web.yml", "key.pem", "deploy/server.key", "health-monitor.conf", "tests/token", "build/token"),
    *("docker-compose.override.yml", "receiver/receiver.sqlite3-wal", ".venv/token", "backups/x.tar"),
)  # fmt: skip
"""Where somebody may have a secret in a checkout."""


@pytest.fixture(scope="module")
def image(engine: DockerEngine, python_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Built in a checkout that has secrets wherever one may have them, by somebody who names one as an argument too."""
    assert python_image == "python:3.11-slim"
    checkout = tmp_path_factory.mktemp("checkout")
    for name in run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            _put(checkout / name, (ROOT / name).read_bytes())
    for place in PLACES:
        _put(checkout / place, f"TOKEN={PLANTED}\n".encode())
    given = ("--network", "host", "--build-arg", f"GITHUB_TOKEN={PLANTED}")
    engine.docker("build", *given, "-t", TAG, checkout, timeout=280)
    return TAG


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.engine
def test_no_layer_shows_a_secret_of_the_checkout(
    engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    saved = tmp_path / "image.tar"
    engine.docker("save", "-o", saved, image)
    held = {where.rpartition(": ")[2] for where, _ in everything(saved)}
    assert {"opt/sermon-monitor/target/probe.py", "usr/bin/python3"} <= held
    assert showing(saved, PLANTED) == set()


@pytest.mark.engine
def test_the_search_finds_what_is_in_a_layer(
    engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    """Also what was deleted later, what is in the settings, and what is coded."""
    coded = base64.b64encode(f"x{PLANTED}y".encode()).decode()
    (tmp_path / "token").write_text(PLANTED)
    (tmp_path / "coded").write_text(f"auth: {coded}\n")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image}\nUSER 0\nCOPY token coded /planted/\n"
        f"RUN rm -r /planted && ln -s {PLANTED} /link\nENV GITHUB_TOKEN={PLANTED}\n"
    )
    engine.docker("build", "-t", "sermon-monitor:leaky", tmp_path)
    saved = tmp_path / "image.tar"
    engine.docker("save", "-o", saved, "sermon-monitor:leaky")
    engine.docker("rmi", "--no-prune", "sermon-monitor:leaky")
    found = showing(saved, PLANTED)
    assert {where.rpartition(": ")[2] for where in found if ": " in where} == {"planted/token", "planted/coded", "link"}  # fmt: skip
    assert any(": " not in where for where in found)


@pytest.mark.engine
def test_docker_says_healthy_where_clients_need_a_certificate(
    engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    lay_out(tmp_path, MUTUAL)
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o755)
    often = ("--health-interval", "1s", "--health-start-period", "60s")
    web = ("-v", f"{tmp_path}:/web:ro", "-e", "WEB_CONFIG_FILE=/web/web.yml")
    words = ("run", "--detach", "--network", "none", "--read-only", "--cap-drop", "ALL")
    one = engine.docker(*words, *often, *web, image, "serve", "--only", "exporter").strip()
    try:
        wait_for(
            lambda: engine.client.containers.get(one).health == "healthy",
            "the container is healthy",
        )
    finally:
        engine.docker("rm", "--force", "--volumes", one)


@pytest.mark.engine
def test_the_image_runs_as_nobody_special_and_read_only(engine: DockerEngine, image: str) -> None:
    hardened = ("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL")
    assert engine.docker(*hardened, image, "--version").strip().endswith("0.1.0")
    script = (
        "import os, monitoring, target; print(os.getuid(), os.getgid(), os.stat('/secrets').st_uid)"
    )
    ids = engine.docker(*hardened, "--entrypoint", "python", image, "-c", script)
    assert ids.split() == ["10001", "10001", "10001"]
    inspected = json.loads(engine.docker("inspect", image))[0]["Config"]
    assert inspected["User"] == "10001:10001"
    assert inspected["Healthcheck"]["Test"][1:] == ["python", "-I", "/opt/sermon-monitor/sermon_monitor/alive.py"]  # fmt: skip


# What this Engine has not: the proxy's image, and a bridge to the world.
HERE = """
services:
  backup:
    image: sermon-monitor:test
    build: !reset null
    pull_policy: never
    networks: !reset {{}}
    extra_hosts: !reset []
    network_mode: host
    environment: {{DOCKER_HOST: "unix://{socket}"}}
    volumes: ["{socket}:{socket}"]
  secrets:
    image: sermon-monitor:test
    build: !reset null
    pull_policy: never
  monitor:
    image: sermon-monitor:test
    build: !reset null
    pull_policy: never
    networks: !reset {{}}
    extra_hosts: !reset []
    ports: !reset []
    network_mode: none
"""


class Stack:
    """The compose file with its profile ``backup``, and one service of it up at a time."""

    def __init__(self, engine: DockerEngine, directory: Path, env: Mapping[str, str]) -> None:
        here = directory / "here.yml"
        here.write_text(HERE.format(socket=engine.socket))
        self._words: list[str | Path] = [
            "docker",
            "compose",
            "-p",
            "sermon-backups",
            "-f",
            FILE,
            "-f",
            here,
        ]
        self._env = {**os.environ, **engine.environment(), "COMPOSE_PROFILES": "backup", **env}

    def compose(self, *words: str) -> str:
        return run([*self._words, *words], env=self._env)


@contextmanager
def stacked(
    engine: DockerEngine, directory: Path, env: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Stack]:
    made = Stack(engine, directory, env)
    try:
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "1")


@pytest.mark.engine
def test_from_inside_its_container_the_exporter_shows_the_machine(
    engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    """As the compose file has it: its user, rights, mounts and secrets. The whole stack is one of the long tests."""
    assert image == "sermon-monitor:test"
    asking = "from urllib.request import urlopen as u; print(u('http://127.0.0.1:10980/metrics').read().decode())"
    with stacked(engine, tmp_path) as stack:
        stack.compose("run", "--rm", "secrets")
        stack.compose("up", "--detach", "--no-deps", "monitor")

        def asked() -> str:
            try:
                return stack.compose("exec", "-T", "monitor", "python", "-c", asking)
            except AssertionError as not_yet:
                raise ConnectionError(str(not_yet)) from not_yet

        wait_for(asked, "the exporter in its container")
        shows_this_machine(asked)


@pytest.fixture
def stack(engine: DockerEngine, image: str, place: Place) -> Iterator[Stack]:
    assert image == "sermon-monitor:test"
    names = ("MINIO_URL", "BACKUP_DIR", "COMPOSE_PROJECT_DIR")
    with stacked(engine, place.root, {name: place.env[name] for name in names}) as made:
        yield made


@pytest.mark.engine
def test_the_backup_service_saves_and_tries_to_restore(
    stack: Stack, place: Place, storage: Storage
) -> None:
    """As the compose file has it: its image, command, user, rights and mounts."""
    fill(storage.client, "sermons", 3)
    stack.compose("up", "--detach", "--no-deps", "backup")
    status = place.backups / ".status.json"

    def tried() -> bool:
        said = json.loads(status.read_text())
        return bool(said["newest_with_data"] and said["drill"])

    wait_for(tried, "the first backup and its drill", within=60)
    assert json.loads(status.read_text())["drill"]["ok"], stack.compose("logs", "backup")
    words = "sermon-recovery backup-list --json"
    listed = json.loads(stack.compose("exec", "-T", "backup", *words.split()))["backups"]
    assert [(one["kind"], one["objects"]) for one in listed] == [("daily", 3)]
    assert _open_to_others(place.backups) == [status]


def _open_to_others(folder: Path) -> list[Path]:
    """Files that more than their owner may read; the lock says only who holds it."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return [path for path in files if path.stat().st_mode & 0o077]
