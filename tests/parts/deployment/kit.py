"""What the tests of a change of the deployment share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from target.deploy import execute
from target.deployment import find_deployment
from target.engine import Engine
from target.plan import Outcome, Plan, Target, plan_rollback
from target.roles import app_containers
from target.settings import DeploymentSettings
from target.verify import Patience
from target.versions import (
    Facts,
    Ledger,
    judge,
    observe,
)
from tests.conftest import AppImages
from tests.real.images import AppImage
from tests.real.project import APP, MINIO, Project

COMMAND = Path(sys.executable).with_name("sermon-recovery")
ROOT = Path(__file__).resolve().parents[3]
WORKFLOW = ROOT / ".github" / "workflows" / "rollback.yml"
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
SOON = Patience(deadline=25.0, interval=0.2, stable=3.0, starting=10.0, unhealthy_share=0.05)

Env = dict[str, str]
Call = Callable[..., "subprocess.CompletedProcess[str]"]


def plan(
    settings: DeploymentSettings, client: Engine, *references: str, revision: str = ""
) -> Plan:
    target = Target(references, references[0], revision)
    return plan_rollback(settings, client, find_deployment(settings, client), target)


def go(plan: Plan, patience: Patience = SOON) -> tuple[Outcome, list[str]]:
    said: list[str] = []
    return execute(plan, said.append, patience), said


def ids(client: Engine) -> dict[str, str]:
    return {name: client.container(name).id for name in (APP, MINIO)}


def deploy(project: Project, client: Engine, image: AppImage) -> None:
    project.write(image.tag)
    here = app_containers(client.containers(), DeploymentSettings(app_service=(APP,)))
    if [c.image for c in here if c.running] != [image.tag]:
        project.up()


def run(words: tuple[str, ...], env: Env) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(COMMAND), *words],
        env={"PATH": os.environ["PATH"], **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def facts_of(image: AppImage) -> Facts:
    tag = image.tag.partition(":")[2]
    return Facts(image.tag, image.id, tag=tag, revision=image.revision)


def proved(image: AppImage, service: str = "app") -> Ledger:
    """It runs, and has proved good."""
    ledger = observe(Ledger(), service, facts_of(image), START)
    for minute in (0, 15):
        now = START + timedelta(minutes=minute)
        ledger = judge(ledger, service, True, now, timedelta(minutes=15))
    return ledger


def history(images: AppImages) -> Ledger:
    """v1 proved good; then v2 was deployed."""
    return observe(proved(images.v1), "app", facts_of(images.v2), START + timedelta(hours=1))


def state_of(project: Project, client: Engine) -> dict[str, Any]:
    """Everything that a refusal or a dry run must leave as it is."""
    return {
        "containers": sorted((c.name, c.id, c.started_at) for c in client.containers()),
        "files": {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
            for path in project.directory.iterdir()
        },
        "directory": project.directory.stat().st_mtime_ns,
        "tags": sorted(tag for image in client.images() for tag in image.tags),
    }


def on_the_runner(env: Env) -> Env:
    return {**env, "PATH": f"{COMMAND.parent}:{env['PATH']}"}
