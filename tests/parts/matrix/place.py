"""A deployment on a real engine that can be brought into every state in which the toolkit may meet it.

All that it writes lies on a small tmpfs of its own: it can be filled to the last byte without harm, and how
full the machine's own disks are says nothing here. Beside it runs a stranger: a compose project of somebody
else's with a service called ``minio``, which nothing may touch.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from target.engine import Container, Engine, EngineError
from target.files import replace_text
from target.members import members
from target.settings import DeploymentSettings
from target.version_keeper import LedgerFile
from target.versions import observe
from tests.parts.deployment.kit import START, facts_of, proved
from tests.parts.matrix.compose_text import APART, PATIENT, SHORT, SINGLE
from tests.parts.matrix.fingerprint import TMPFS_BYTES, fingerprint
from tests.parts.matrix.neighbour import Neighbour
from tests.real.engine import DockerEngine
from tests.real.images import AppImage
from tests.real.processes import fetch, free_port, run, wait_for

Layout = Literal["apart", "single"]
PROJECT = "sermon-uploader"
STORAGE_IMAGE = "minio/minio:latest"
MINIO, STRANGER = "sermon-uploader-minio", "blog-minio-1"
CONFIG_HASH = "com.docker.compose.config-hash"
STOP_SECONDS = 20
"""It ends at once; on a machine under load that is late."""
SERMON = b"the sermon of Sunday"
NOBODY = 65534


class Place:
    """One deployment in one layout. ``arrange`` brings it from any state to any other."""

    def __init__(
        self, engine: DockerEngine, layout: Layout, folder: Path, good: AppImage, former: AppImage
    ) -> None:
        """``former`` proved good before ``good`` was deployed; nothing is started yet."""
        self.engine, self.layout, self.disk = engine, layout, folder
        self.good, self.former = good, former
        self.directory, self.backups = folder / "project", folder / "backups"
        self.state, self.logs = folder / "state", folder / "log"
        self.client = Engine(engine.host, timeout=30)
        self.app_port, self.minio_port = free_port(), free_port()
        self.service = "backend" if layout == "apart" else "sermon-uploader"
        self.app = {"apart": "sermon-uploader-backend", "single": f"{PROJECT}-sermon-uploader-1"}[
            layout
        ]
        self._held: Neighbour | None = None
        self._made: dict[str, dict[str, tuple[str, str]]] = {}
        self._aside = folder / "project.aside"

    # What it is made of

    @property
    def compose_file(self) -> Path:
        return self.directory / "docker-compose.yml"

    @property
    def settings(self) -> DeploymentSettings:
        return DeploymentSettings(compose_project_dir=self.directory)

    def environment(self, state: str = "") -> dict[str, str]:
        """The toolkit's settings, as they are in ``state``."""
        host = f"unix://{self.disk}/gone.sock" if state == "engine down" else self.engine.host
        return {
            **self.engine.environment(),
            "DOCKER_HOST": host,
            "APP_URL": f"http://127.0.0.1:{self.app_port}",
            "MINIO_URL": f"http://127.0.0.1:{self.minio_port}",
            "COMPOSE_PROJECT_DIR": str(self.directory),
            "BACKUP_DIR": str(self.backups),
            "STATE_DIR": str(self.state),
            "LOG_DIR": str(self.logs),
            "PROC_ROOT": str(self.disk / "proc"),
            "CGROUP_ROOT": str(self.disk / "cgroup"),
            "ROOTFS": str(self.disk),
        }

    def write(self, image: str) -> None:
        """The compose file with ``image`` for the application, as a deployment writes it."""
        retries = SHORT if image.endswith(":unhealthy") else PATIENT
        body = (APART if self.layout == "apart" else SINGLE).format(
            service=self.service,
            image=image,
            name=f"    container_name: {self.app}\n" if self.layout == "apart" else "",
            retries=retries,
            role="app" if self.layout == "apart" else "single",
            minio_image=STORAGE_IMAGE,
            app_port=self.app_port,
            minio_port=self.minio_port,
        )
        text = f"name: {PROJECT}\nservices:\n{body}volumes:\n  sermons:\n"
        if not self.compose_file.exists() or self.compose_file.read_text() != text:
            replace_text(self.compose_file, text)

    def write_ledger(self) -> None:
        """``former`` was good for an hour; ``good`` has run since."""
        ledger = proved(self.former, self.service)
        ledger = observe(ledger, self.service, facts_of(self.good), START + timedelta(hours=1))
        LedgerFile(self.state / "versions.json").save(ledger)

    # Life and death

    def make(self) -> None:
        self.disk.mkdir(parents=True, exist_ok=True)
        run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0755", "tmpfs", self.disk])
        for folder in (
            self.directory,
            self.backups,
            self.state,
            self.logs,
            self.disk / "cgroup/memory",
        ):
            folder.mkdir(parents=True)
        (self.disk / "proc").mkdir()
        (self.disk / "proc/meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n")
        (self.disk / "proc/loadavg").write_text("0.10 0.10 0.10 1/100 1\n")
        (self.directory / ".env").write_text("SECRET=hunter2\n")
        (self.directory / ".env").chmod(0o600)
        self.write_ledger()
        self.engine.docker("tag", self.good.tag, STORAGE_IMAGE)
        labels = {"project": "blog", "service": "minio", "project.working_dir": "/srv/blog"}
        words: list[str | Path] = [
            w for k, v in labels.items() for w in ("--label", f"com.docker.compose.{k}={v}")
        ]
        self.engine.docker(
            "run",
            "--detach",
            "--network=none",
            "--no-healthcheck",
            f"--name={STRANGER}",
            *words,
            self.good.tag,
        )
        self.arrange("running")
        self.sermon().write_bytes(SERMON)

    def destroy(self) -> None:
        with contextlib.suppress(AssertionError, OSError):
            self.arrange("running")
        for container in self.client.containers():
            if container.name == STRANGER or container in self.containers():
                self.engine.docker("rm", "--force", "--volumes", container.name)
        with contextlib.suppress(AssertionError):
            self.compose("down", "--volumes", "--timeout", "1")
        run(["umount", "--lazy", self.disk])

    def sermon(self) -> Path:
        """A file in MinIO's volume."""
        root = str(self.client.info()["DockerRootDir"])
        return Path(root) / "volumes" / f"{PROJECT}_sermons" / "_data" / "sermon.wav"

    def containers(self) -> tuple[Container, ...]:
        return members(self.client.containers(), self.settings)

    def compose(self, *words: str) -> str:
        command: list[str | Path] = ["docker", "compose", "--file", self.compose_file, *words]
        return run(command, env={**os.environ, **self.engine.environment()}, cwd=self.directory)

    # States

    def arrange(self, state: str, image: str = "") -> None:
        """From whatever state it is in to ``state``; ``image`` is what the application runs, else ``good``.

        Compose makes anew only what a verb has changed: what is there is started and stopped by the Engine.
        """
        self._undo()
        self.write(image or self.good.tag)
        self.write_ledger()
        without_app = state == "half-up" and self.layout == "apart"
        if not (without_app and [c.name for c in self.containers()] == [MINIO]):
            self._whole(well=not image)
        if without_app and len(self.containers()) > 1:
            self.engine.client.containers.get(self.app).remove(force=True)
        stopped = self._stopped_in(state)
        self._run(stopped)
        if not image:
            wanted = len(self.names()) - len(stopped) - without_app
            wait_for(lambda: sum(map(_is_well, self.containers())) == wanted, "the deployment")
        if self.names()[-1] not in stopped:  # MinIO has no healthcheck
            wait_for(partial(fetch, self.environment()["MINIO_URL"]), "MinIO")
        self._enter(state)

    def _whole(self, *, well: bool) -> None:
        """Every container is there, as the compose file has it now.

        ``well``: what was only just made can be stopped in order: it has begun to listen to signals.
        """
        text = self.compose_file.read_text()
        never_started = any(c.state == "created" for c in self.containers())
        if never_started or self._configs() != self._made.get(text):
            self.compose("up", "--detach", "--pull", "never", "--remove-orphans")
            self._made[text] = self._configs()
            if well:
                wait_for(self.well, "the deployment")

    def _configs(self) -> dict[str, tuple[str, str]]:
        """What each container was made from: its image, and compose's word for the rest."""
        return {c.name: (c.image_id, c.labels.get(CONFIG_HASH, "")) for c in self.containers()}

    def _run(self, stopped: set[str]) -> None:
        """All but ``stopped``, which do not run."""
        for container in self.containers():
            if container.name in stopped:
                self._stop_in_order(container.name)
            elif container.state == "paused":
                self.client.unpause(container.id)
            elif not container.running:
                self.client.start(container.id)

    def _stop_in_order(self, name: str) -> None:
        """As whoever stops it means it: it is given the time to listen to signals, and is not killed."""

        def now() -> Container:
            return next(one for one in self.containers() if one.name == name)

        for _ in range(3):
            if now().running:
                wait_for(lambda: _is_well(now()), f"{name} to be well")
                self.client.stop(now().id, STOP_SECONDS)
            if now().exit_code == 0:
                return
            self.client.start(now().id)
        raise AssertionError(f"{name} does not end by itself")

    def _stopped_in(self, state: str) -> set[str]:
        if state in ("running", "directory missing", "engine down", "half-up"):
            return set()
        return set(self.names()) if state == "stopped" else {self.app}

    def _enter(self, state: str) -> None:
        match state:
            case "half-up" if self.layout == "single":  # it was made, and never started
                self.compose("up", "--no-start", "--force-recreate", self.service)
            case "directory missing":
                self.directory.rename(self._aside)
            case "disk full":
                self._fill()
            case "directory of another user":
                self.directory.chmod(0o700)
                self._let_in(0o711, 0o666)
            case "port taken":
                self._held = Neighbour(self.app_port)

    def _undo(self) -> None:
        if self._held is not None:
            self._held.leave()
            self._held = None
        if self._aside.exists():
            shutil.rmtree(self.directory, ignore_errors=True)
            self._aside.rename(self.directory)
        (self.disk / "filler").unlink(missing_ok=True)
        self.directory.chmod(0o755)
        self._let_in(0o700, 0o660)
        self.without_backups()

    def without_backups(self) -> None:
        for path in self.backups.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _let_in(self, folders: int, engine_socket: int) -> None:
        """Whether others than root may reach the Engine's socket, and ask there."""
        self.engine.directory.parent.chmod(folders)
        self.engine.directory.chmod(folders)
        self.engine.socket.chmod(engine_socket)

    def litter(self) -> None:
        """An old version of the application that nothing needs any more."""
        dockerfile = io.BytesIO(f"FROM {self.former.tag}\nLABEL old=1\n".encode())
        self.engine.client.images.build(fileobj=dockerfile, tag="sermon-uploader:old", rm=True)

    def _fill(self) -> None:
        """To the last byte."""
        with (self.disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    @contextmanager
    def as_user_of(self, state: str) -> Iterator[None]:
        """With the rights that a person has in ``state``."""
        if state not in ("directory of another user", "no access to Docker"):
            yield
            return
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)

    # What can be seen of it

    def well(self) -> bool:
        """Every container runs, and no healthcheck complains."""
        here = self.containers()
        return len(here) == len(self.names()) and all(map(_is_well, here))

    def names(self) -> list[str]:
        return [self.app] if self.layout == "single" else [self.app, MINIO]

    def fingerprint(self) -> dict[str, Any]:
        """Everything that a look, a refusal or a dry run must leave as it is."""
        return fingerprint(self.client, self.engine, self.disk, self.sermon())

    def stranger(self) -> tuple[str, str, str]:
        try:
            one = self.client.container(STRANGER)
        except EngineError as error:
            return (str(error), "", "")
        return (one.id, one.state, str(one.started_at))


def _is_well(container: Container) -> bool:
    return container.running and container.health in (None, "healthy")
