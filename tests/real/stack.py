"""docker-compose.monitoring.yml really up: the shipped file and its shipped configuration, beside a deployment.

What is changed in the copy: durations (divided by FACTOR, as everywhere on the stage) and the address of this
machine that it publishes on, so that the ports are the guide's own and yet nobody else's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import trustme
import yaml

from tests.real.engine import DockerEngine
from tests.real.images import AppImage
from tests.real.processes import fetch, run, wait_for
from tests.real.product import Product
from tests.real.project import Project
from tests.real.stack_images import FILE, ROOT
from tests.real.stage import (
    WORKFLOW,
    Stage,
    alertmanager_text,
    faster,
    policy_text,
    rules_text,
    runner_environment,
)
from tests.standins.discord import Discord
from tests.standins.github import GitHub, Real

NAME = "sermon-monitor"
DISCORD_NAME = "discord.com"
_HERE = """\
x-here: &here
  environment: {{POLICY_FILE: /policy.yml, SSL_CERT_FILE: /authority.pem}}
  extra_hosts: ["{name}:{gateway}"]
  volumes: ["./policy.yml:/policy.yml:ro", "./authority.pem:/authority.pem:ro"]
services:
  monitor: *here
  alertmanager: *here
"""
"""Discord is its stand-in on this machine: by the real name, with a certificate of an authority of ours."""


class Stack:
    """The compose project in ``directory``, a copy of what a checkout has; ``settings`` stand in its .env."""

    def __init__(
        self,
        engine: DockerEngine,
        directory: Path,
        settings: Mapping[str, str],
        authority: trustme.CA,
    ) -> None:
        """``authority``: whose certificates its containers believe."""
        self.engine = engine
        self.directory = directory
        second = engine.open_gateway().split(".")[1]
        self.address = f"127.{second}.0.1"
        """Where it publishes: this engine's own piece of the loopback."""
        directory.mkdir(parents=True)
        text = FILE.read_text(encoding="utf-8")
        assert '"127.0.0.1:${' in text
        ours = text.replace('"127.0.0.1:${', f'"{self.address}:${{')
        (directory / FILE.name).write_text(ours, encoding="utf-8")
        here = _HERE.format(name=DISCORD_NAME, gateway=engine.open_gateway())
        (directory / "here.yml").write_text(here)
        authority.cert_pem.write_to_path(directory / "authority.pem")
        (directory / "policy.yml").write_text(policy_text())
        self.write_env(settings)
        self._configuration(directory / "monitoring")

    def write_env(self, settings: Mapping[str, str]) -> None:
        lines = {**settings, "DOCKER_SOCKET": str(self.engine.socket)}
        (self.directory / ".env").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))

    @staticmethod
    def _configuration(directory: Path) -> None:
        """monitoring/ as it is shipped, but faster."""
        shutil.copytree(ROOT / "monitoring", directory, ignore=shutil.ignore_patterns("*.py"))
        (directory / "alerts.yml").write_text(rules_text())
        text = alertmanager_text("http://monitor:5001/alerts", Path("/secrets"))
        (directory / "alertmanager.yml").write_text(text)
        prometheus = directory / "prometheus.yml"
        config: dict[str, Any] = yaml.safe_load(prometheus.read_text(encoding="utf-8"))
        config["global"] = dict.fromkeys(config["global"], "1s")
        prometheus.write_text(yaml.safe_dump(config))

    def url(self, port: int) -> str:
        return f"http://{self.address}:{port}"

    def compose(self, *words: str, timeout: float = 180.0) -> str:
        """``docker compose`` as a person types it in the checkout. Raises AssertionError when it fails."""
        files = ("-f", FILE.name, "-f", "here.yml")
        environment = {**os.environ, **self.engine.environment()}
        for name in ("COMPOSE_PROFILES", "DISCORD_WEBHOOK_URL", "APP_URL", "MINIO_URL"):
            environment.pop(name, None)
        return run(
            ["docker", "compose", *files, *words],
            env=environment,
            cwd=self.directory,
            timeout=timeout,
        )

    def up(self) -> None:
        """As the guide has it. It builds nothing: the images are there."""
        self.compose("up", "--detach", "--no-build", "--pull", "never", "--quiet-pull")

    def down(self, *words: str) -> None:
        self.compose("down", "--timeout", "30", *words)

    def container(self, service: str) -> Any:
        return self.engine.client.containers.get(f"{NAME}-{service}-1")

    def kill(self, service: str) -> None:
        """SIGKILL to its first process: as the kernel does it, so that Docker's restart policy counts."""
        os.kill(self.container(service).attrs["State"]["Pid"], signal.SIGKILL)

    def volume(self, name: str) -> Path:
        """Where this machine has it."""
        found = self.engine.client.volumes.get(f"{NAME}_{name}")
        return Path(found.attrs["Mountpoint"])

    def ready(self, port: int, path: str) -> None:
        wait_for(
            lambda: fetch(self.url(port) + path)[0] == 200, f"{self.url(port)}{path}", within=120
        )

    def wait_ready(self) -> None:
        """Until everything answers, and Prometheus has asked the monitor."""
        for port, path in ((10980, "/healthz"), (5001, "/readyz"), (9090, "/-/ready")):
            self.ready(port, path)
        for port, path in ((9093, "/-/ready"), (3000, "/api/health")):
            self.ready(port, path)
        wait_for(lambda: self.asked("sermon_uploader_up"), "a scrape", within=120)

    def asked(self, query: str) -> list[dict[str, Any]]:
        """What Prometheus answers to an instant query."""
        where = f"/api/v1/query?{urlencode({'query': query})}"
        status, body = fetch(self.url(9090) + where)
        assert status == 200, body
        found: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return found


class Contained(Product):
    """The product in its container: asked as a person asks it there."""

    def __init__(self, stack: Stack, settings: Mapping[str, str]) -> None:
        self._stack = stack
        published = {
            "EXPORTER_LISTEN": f"{stack.address}:10980",
            "RECEIVER_LISTEN": f"{stack.address}:5001",
        }
        super().__init__(stack.directory / "product", {**settings, **published})

    def found(self) -> None:
        """The stack is up: what it keeps lies in its volume (docs/operations.md, Sharing the ledger)."""
        self.state = self._stack.volume("state")
        self.environment["STATE_DIR"] = str(self.state)

    def kill(self) -> None:
        self._stack.kill("monitor")

    def command(self, *arguments: str) -> str:
        return self._stack.compose("exec", "-T", "monitor", "sermon-monitor", *arguments)

    def incidents(self) -> list[dict[str, Any]]:
        """Raises OSError while the container is not there."""
        try:
            return super().incidents()
        except AssertionError as problem:
            raise ConnectionError(str(problem)) from problem

    def log(self) -> str:
        return self._stack.compose("logs", "--no-color", "monitor")


@contextmanager
def set_up(engine: DockerEngine, directory: Path, image: AppImage) -> Iterator[tuple[Stack, Stage]]:
    """A deployment of ``image`` on this machine, and the stack beside it, not up yet; all of it is ended again."""
    with ExitStack() as ending:
        authority, tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(DISCORD_NAME).configure_cert(tls)
        here = {"host": engine.open_gateway()}
        discord = ending.enter_context(
            Discord.in_thread(**here, port=443, tls=tls, name=DISCORD_NAME)
        )
        github = ending.enter_context(GitHub.in_thread([WORKFLOW], **here))
        project = Project(engine, directory / "project", image.tag, address=engine.open_gateway())
        ending.callback(project.down)
        project.up()
        inside = {
            name: url.replace(engine.open_gateway(), "host.docker.internal")
            for name, url in (("APP_URL", project.app_url), ("MINIO_URL", project.minio_url))
        }
        told = _settings(discord, github)
        stack = Stack(engine, directory / "stack", {**told, **inside}, authority)
        ending.callback(stack.down, "--volumes", "--remove-orphans")
        outside = {
            "DOCKER_HOST": engine.host,
            "APP_URL": project.app_url,
            "MINIO_URL": project.minio_url,
            "COMPOSE_PROJECT_DIR": str(project.directory),
            "BACKUP_DIR": str(directory / "backups"),
        }
        product = Contained(stack, {**told, **outside})
        yield stack, Stage(engine, project, product, discord, github)


def found_up(stack: Stack, stage: Stage) -> None:
    """The stack is up: the runner of GitHub's workflow is told where the ledger is."""
    assert isinstance(stage.product, Contained)
    stack.wait_ready()
    stage.product.found()
    stage.github.play(Real(env=runner_environment(stack.engine, stage.project, stage.product)))


def _settings(discord: Discord, github: GitHub) -> dict[str, str]:
    return {
        "APP_SERVICE": "app",
        "MINIO_SERVICE": "minio",
        "HEALTH_CHECK_INTERVAL": "1",
        "GOOD_AFTER": faster("15m"),
        "FLAP_WINDOW": faster("10m"),
        "COOLDOWN": faster("30m"),
        "DISCORD_WEBHOOK_URL": discord.url,
        "GITHUB_API_URL": github.base_url,
        "GITHUB_TOKEN": github.token,
        "GITHUB_REPO": github.repository,
    }
