"""The whole loop on one machine: deployment, product, Prometheus, Alertmanager, and the two stand-ins.

The shipped files are used as they are, but for addresses, and for durations divided by one factor.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from receiver.store import incidents
from receiver.store.database import reading
from target.durations import format_duration, parse_duration
from target.rules import Thresholds, render_rules
from target.version_keeper import LedgerFile
from target.versions import running
from tests.real.daemons import Alertmanager, Binaries, Prometheus
from tests.real.engine import DockerEngine
from tests.real.images import AppImage
from tests.real.processes import fetch, wait_for
from tests.real.product import COMMAND, Product
from tests.real.project import APP, Project
from tests.standins.discord import Discord
from tests.standins.github import GitHub, Real

FACTOR = 20
"""Every duration of rules, routes, policy and ledger is divided by it."""
WORKFLOW = Path(__file__).resolve().parents[2] / ".github" / "workflows" / "rollback.yml"
WEBHOOK_TOKEN = "a-token-of-the-tests"


def _shipped(name: str) -> str:
    return resources.files("monitoring").joinpath(name).read_text(encoding="utf-8")


def faster(text: str) -> str:
    """One duration divided by FACTOR."""
    return format_duration(parse_duration(text) / FACTOR)


def policy_text() -> str:
    """policy.yml with its timing and its ladder divided by FACTOR."""
    policy = yaml.safe_load(_shipped("policy.yml"))
    policy["timing"] = {name: faster(value) for name, value in policy["timing"].items()}
    for row in policy["alerts"]:
        row["steps"] = [
            re.sub(r"@(\S+)", lambda m: "@" + faster(m[1]), step) for step in row.get("steps", [])
        ]
    return yaml.safe_dump(policy, sort_keys=False)


def rules_text() -> str:
    """alerts.yml with its durations divided by FACTOR, without the category resource.

    Its alerts are about this machine's own disk, memory and processor, which are whoever's runs this.
    """
    rules = yaml.safe_load(render_rules(Thresholds(), faster=FACTOR))
    for group in rules["groups"]:
        group["rules"] = [
            r for r in group["rules"] if r.get("labels", {}).get("category") != "resource"
        ]
    rules["groups"] = [group for group in rules["groups"] if group["rules"]]
    return yaml.safe_dump(rules, sort_keys=False)


def alertmanager_text(webhook_url: str, secrets: Path) -> str:
    """alertmanager.yml with our addresses, and its waits divided by FACTOR (at least 1 s)."""
    config: dict[str, Any] = yaml.safe_load(_shipped("alertmanager.yml"))

    def walk(route: dict[str, Any]) -> None:
        for name in ("group_wait", "group_interval", "repeat_interval"):
            if name in route and parse_duration(route[name]):
                wait = max(parse_duration("1s"), parse_duration(route[name]) / FACTOR)
                route[name] = f"{wait // timedelta(milliseconds=1)}ms"  # it knows no fractions
        for child in route.get("routes", []):
            walk(child)

    walk(config["route"])
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = webhook_url
            webhook["http_config"]["authorization"]["credentials_file"] = str(
                secrets / "webhook_token"
            )
        for discord in receiver.get("discord_configs", []):
            discord["webhook_url_file"] = str(secrets / "discord_webhook_url")
    return yaml.safe_dump(config)


def prometheus_text(metrics_address: str, alertmanagers: list[Alertmanager]) -> str:
    """prometheus.yml with our addresses and 1 s intervals. Its own address is known only to itself."""
    config: dict[str, Any] = yaml.safe_load(_shipped("prometheus.yml"))
    config["global"] = {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    ams = [f"127.0.0.1:{am.port}" for am in alertmanagers]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": ams}]}]}
    ours = next(job for job in config["scrape_configs"] if job["job_name"] == "sermon-uploader")
    ours["static_configs"] = [{"targets": [metrics_address]}]
    theirs = next(job for job in config["scrape_configs"] if job["job_name"] == "alertmanager")
    theirs["static_configs"] = [{"targets": ams}]
    config["scrape_configs"] = [ours, theirs]
    return yaml.safe_dump(config)


class Stage:
    """Everything, started; what happens is seen in ``discord``, ``github``, ``product`` and ``project``."""

    def __init__(
        self,
        engine: DockerEngine,
        project: Project,
        product: Product,
        discord: Discord,
        github: GitHub,
    ) -> None:
        self.engine = engine
        self.project = project
        self.product = product
        self.discord = discord
        self.github = github
        self.alertmanagers: list[Alertmanager] = []
        self.prometheus: Prometheus | None = None
        self.revive = False
        """Start the product again whenever it has died, as systemd or Docker does."""

    @property
    def cards(self) -> list[Any]:
        """The messages on Discord that are incident cards; those of the second path have no footer."""
        return [m for m in self.discord.messages if m.embeds and "footer" in m.embeds[0]]

    def runs(self) -> str:
        """The tag or reference that the app's container was created from."""
        image: str = self.engine.client.containers.get(APP).attrs["Image"]
        return image

    def wait_good(self, image: AppImage) -> None:
        """Until the ledger says that ``image`` runs and has proved good."""

        def good() -> bool:
            ledger = LedgerFile(self.product.state / "versions.json").load()
            release = running(ledger, "app")
            return (
                release is not None and release.image_id == image.id and release.verdict == "good"
            )

        wait_for(good, f"{image.tag} to prove good", within=180, process=self.product.process)

    def accepted(self) -> int:
        """How many open incidents the store has: read from the file itself, to be early."""
        with reading(self.product.state / "receiver.sqlite3") as connection:
            found = incidents.incidents(connection)
            return sum(i.state == "open" and not i.digest for i in found)

    def wait_firing(self) -> None:
        """Until a webhook has been accepted that opened an incident."""
        wait_for(self.accepted, "an incident", within=120, process=self.product.process)

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents, newest first, but those of the digest.

        A deployment is told by an info alert, which stands apart and lasts for minutes.
        """
        return [one for one in self.product.incidents() if not one["digest"]]

    def known(self) -> dict[str, int]:
        """How often each incident has been reopened: what has no other number since then is not new."""
        return {one["id"]: one["reopened"] for one in self.incidents()}

    def wait_over(self, known: dict[str, int], action: str) -> dict[str, Any]:
        """Until an incident has opened since ``known``, or again, with a step of ``action``, and all is over and told.

        That incident. A machine that is slow adds others, of a monitor that was blind for a moment; what
        comes soon after one of those opens it again.
        """

        def over() -> list[dict[str, Any]]:
            if self.revive and self.product.process and not self.product.process.running:
                self.product.start()
            found = self.incidents()
            told = re.search(
                r"^sermon_monitor_outbox_depth 0(\.0)?$", self.product.metrics(), re.MULTILINE
            )
            if not told or any(one["state"] != "resolved" for one in found):
                return []
            return [
                one
                for one in found
                if known.get(one["id"]) != one["reopened"]
                and any(step["action"] == action for step in one["steps"])
            ]

        try:
            return wait_for(over, "the incident to be over", within=240)[0]
        except AssertionError as problem:
            seen = [
                (
                    i["id"],
                    i["state"],
                    i["reopened"],
                    sorted({a["name"] for a in i["alerts"]}),
                    i["verdict"],
                )
                for i in self.product.incidents()
            ]
            raise AssertionError(f"{problem}; known {known}; there are {seen}") from problem

    def deploy(self, image: AppImage) -> None:
        """Deploy as the application's own pipeline does: another tag into the compose file, and up."""
        self.project.write(image.tag)
        self.project.up(answering=False)


@contextmanager
def set_stage(
    engine: DockerEngine,
    binaries: Binaries,
    directory: Path,
    image: AppImage,
    *,
    discord: Discord,
    github: GitHub,
    alertmanagers: int = 1,
) -> Iterator[Stage]:
    """Start everything around a deployment of ``image``, and end it all again."""
    with ExitStack() as stack:
        project = Project(engine, directory / "project", image.tag)
        stack.callback(project.down)
        project.up()
        secrets = directory / "secrets"
        secrets.mkdir(parents=True)
        (secrets / "webhook_token").write_text(WEBHOOK_TOKEN)
        (secrets / "discord_webhook_url").write_text(discord.url)
        (directory / "policy.yml").write_text(policy_text())
        product = Product(
            directory / "product", _settings(engine, project, directory, discord, github)
        )
        github.play(Real(env=runner_environment(engine, project, product)))
        stage = Stage(engine, project, product, discord, github)
        text = alertmanager_text(f"{product.url}/alerts", secrets)
        for number in range(alertmanagers):
            stage.alertmanagers.append(
                Alertmanager(binaries.alertmanager, directory / f"am{number}", text)
            )
        prometheus = Prometheus(
            binaries.prometheus,
            directory / "prometheus",
            prometheus_text(product.metrics_address, stage.alertmanagers),
            {"alerts.yml": rules_text()},
        )
        stage.prometheus = prometheus
        product.environment["PROMETHEUS_URL"] = prometheus.url
        product.environment["ALERTMANAGER_URL"] = stage.alertmanagers[0].url
        for daemon in (*stage.alertmanagers, prometheus):
            stack.callback(daemon.stop)
            daemon.start()
        stack.callback(product.stop)
        product.start()
        wait_for(
            lambda: (
                b'"result":[]'
                not in fetch(f"{prometheus.url}/api/v1/query?query=sermon_uploader_up")[1]
            ),
            "the first scrape",
        )
        yield stage


def _settings(
    engine: DockerEngine, project: Project, directory: Path, discord: Discord, github: GitHub
) -> dict[str, str]:
    return {
        "DOCKER_HOST": engine.host,
        "APP_URL": project.app_url,
        "MINIO_URL": project.minio_url,
        "APP_SERVICE": "app",
        "MINIO_SERVICE": "minio",
        "COMPOSE_PROJECT_DIR": str(project.directory),
        "BACKUP_DIR": str(directory / "backups"),
        "HEALTH_CHECK_INTERVAL": "1",
        "GOOD_AFTER": faster("15m"),
        "FLAP_WINDOW": faster("10m"),
        "COOLDOWN": faster("30m"),
        "POLICY_FILE": str(directory / "policy.yml"),
        "WEBHOOK_TOKEN": WEBHOOK_TOKEN,
        "DISCORD_WEBHOOK_URL": discord.url,
        "DISCORD_MENTION": "<@&4242>",
        "CONTACTS": "Ruth, +1 555 0100",
        "GITHUB_API_URL": github.base_url,
        "GITHUB_TOKEN": github.token,
        "GITHUB_REPO": github.repository,
    }


def runner_environment(engine: DockerEngine, project: Project, product: Product) -> dict[str, str]:
    """The environment of GitHub's runner on the machine of the deployment."""
    names = (
        "DOCKER_HOST",
        "APP_URL",
        "MINIO_URL",
        "APP_SERVICE",
        "MINIO_SERVICE",
        "COMPOSE_PROJECT_DIR",
        "BACKUP_DIR",
        "STATE_DIR",
    )
    return {
        **engine.environment(),
        **{name: product.environment[name] for name in names},
        "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
    }
