"""The deployment under watch, small: a compose project of the stand-in app and its storage."""

from __future__ import annotations

import os
from pathlib import Path

from tests.real.engine import DockerEngine
from tests.real.images import APP_PORT, MINIO_PORT
from tests.real.processes import fetch, free_port, run, wait_for

PROJECT = "sermon-uploader"
APP, MINIO = "sermon-uploader-backend", "sermon-uploader-minio"
"""The containers' names, as the real deployment has them."""

_COMPOSE = """\
name: {project}
services:
  app:
    image: {image}
    container_name: {app}
    restart: "{restart}"
    stop_grace_period: 2s
    environment:
      ROLE: app
    ports:
      - "{address}:{app_port}:{app_inside}"
  minio:
    image: {minio_image}
    container_name: {minio}
    restart: "{restart}"
    stop_grace_period: 2s
    environment:
      ROLE: minio
    volumes:
      - "data:/data"
    ports:
      - "{address}:{minio_port}:{minio_inside}"
volumes:
  data:
"""


class Project:
    """A compose project in ``directory`` on ``engine``; its ports on ``address`` stay the same over up and down."""

    def __init__(
        self,
        engine: DockerEngine,
        directory: Path,
        image: str,
        *,
        restart: str = "no",
        address: str = "127.0.0.1",
    ) -> None:
        """Writes ``docker-compose.yml``; starts nothing. ``restart`` is a compose restart policy."""
        self.engine = engine
        self.directory = directory
        self.compose_file = directory / "docker-compose.yml"
        self.restart = restart
        self.address = address
        self._app_port, self._minio_port = free_port(), free_port()
        self.storage_image = image
        """Of MinIO; a deployment of the app leaves it alone."""
        directory.mkdir(parents=True, exist_ok=True)
        self.write(image)

    @property
    def app_url(self) -> str:
        return f"http://{self.address}:{self._app_port}"

    @property
    def minio_url(self) -> str:
        return f"http://{self.address}:{self._minio_port}"

    def write(self, image: str) -> None:
        """Write the compose file anew with ``image`` for the app, as a deployment does. Starts nothing."""
        self.compose_file.write_text(
            _COMPOSE.format(
                project=PROJECT,
                image=image,
                minio_image=self.storage_image,
                restart=self.restart,
                address=self.address,
                app=APP,
                minio=MINIO,
                app_port=self._app_port,
                app_inside=APP_PORT,
                minio_port=self._minio_port,
                minio_inside=MINIO_PORT,
            )
        )

    def compose(self, *arguments: str) -> str:
        """Run ``docker compose`` in this project; its stdout. Raises AssertionError when it fails."""
        return run(
            ["docker", "compose", "--file", self.compose_file, *arguments],
            env={**os.environ, **self.engine.environment()},
            cwd=self.directory,
        )

    def up(self, *, answering: bool = True) -> None:
        """Bring it to what the compose file says; ``answering`` waits until both services speak HTTP (any status)."""
        self.compose("up", "--detach", "--pull", "never", "--quiet-pull", "--no-color")
        if answering:
            wait_for(lambda: fetch(self.app_url + "/api/health"), "the app")
            wait_for(lambda: fetch(self.minio_url + "/minio/health/live"), "the storage")

    def down(self) -> None:
        """Remove its containers and network."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2")
