"""Containers, compose projects and facts as the recovery toolkit's pure plans take them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recovery.deployments import Facts
from recovery.settings import RecoverySettings
from target.compose import Project, Service
from target.engine import COMPOSE_PROJECT, COMPOSE_SERVICE, Container
from target.members import DEPENDS_ON, WORKING_DIR

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = RecoverySettings()
V1, V2 = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def container(
    name: str,
    *,
    service: str = "",
    project: str = "",
    folder: str = "",
    needs: str = "",
    state: str = "running",
    labels: Mapping[str, str] | None = None,
    **changes: Any,
) -> Container:
    made = {
        COMPOSE_SERVICE: service,
        COMPOSE_PROJECT: project,
        WORKING_DIR: folder,
        DEPENDS_ON: needs,
    }
    facts: dict[str, Any] = {
        "id": f"id-{name}",
        "name": name,
        "image": "sermon-uploader:v1",
        "image_id": V1,
        "state": state,
        "health": None,
        "exit_code": 0,
        "oom_killed": False,
        "restart_count": 0,
        "pid": 1,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": None,
        "tty": False,
        "log_path": "",
        "restart_policy": "unless-stopped",
        "labels": {key: value for key, value in made.items() if value} | dict(labels or {}),
    }
    return Container(**(facts | changes))


def backend(**changes: Any) -> Container:
    made = {
        "service": "backend",
        "project": "sermon-uploader",
        "needs": "minio:service_healthy:false",
    }
    return container("sermon-uploader-backend", **(made | changes))


def minio(**changes: Any) -> Container:
    return container(
        "sermon-uploader-minio", **({"service": "minio", "project": "sermon-uploader"} | changes)
    )


def project(*services: Service, name: str = "sermon-uploader") -> Project:
    usual = (
        Service(
            "backend", "sermon-uploader-backend", "sermon-uploader:v1", False, ("minio",), (8000,)
        ),
        Service("minio", "sermon-uploader-minio", "minio/minio:latest", False, (), (9000,)),
    )
    return Project(name, {s.name: s for s in services or usual}, ())


def facts(*containers: Container, **changes: Any) -> Facts:
    """Both services are there and the compose files can be read, unless ``changes`` say otherwise."""
    made: dict[str, Any] = {
        "settings": SETTINGS,
        "containers": containers or (minio(), backend()),
        "project": project(),
        "images": {"sermon-uploader:v1": V1, "minio/minio:latest": V1},
    }
    return Facts(**(made | changes))


def folder(path: Path) -> RecoverySettings:
    return RecoverySettings(compose_project_dir=path)


class Clock:
    """In place of the module ``time``: whoever sleeps is there at once."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
