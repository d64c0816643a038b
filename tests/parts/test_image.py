"""The image that the compose file runs, built for real."""

from __future__ import annotations

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
from tests.real.engine import DockerEngine
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


@pytest.fixture(scope="module")
def image(engine: DockerEngine, python_image: str) -> str:
    assert python_image == "python:3.11-slim"
    tag = "sermon-monitor:test"
    engine.docker("build", "--network", "host", "-t", tag, ROOT, timeout=280)
    return tag


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
    assert "/healthz" in " ".join(inspected["Healthcheck"]["Test"])


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
