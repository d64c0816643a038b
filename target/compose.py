"""The ``docker compose`` command: find it, ask it what a project is, let it start a service.

Its variables come from the project's own ``.env``: of our environment it sees only what finds the
Engine, a home and a proxy. Otherwise a setting of ours with the name of one of the app's
(MINIO_URL, DISCORD_WEBHOOK_URL, …) would slip into the app's containers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONFIG_SECONDS = 60.0
UP_SECONDS = 300.0
FILES = (
    # Compose's own order: docs.docker.com/compose/intro/compose-application-model
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    # the Sermon Uploader's repository
    "docker-compose.pi5.yml",
    "docker-compose.prod.yml",
    "docker-compose.single.yml",
    "docker-compose.dynamic.yml",
)
_PASSED = re.compile(
    r"(DOCKER|SSH|XDG)_\w+|COMPOSE_(PROJECT_NAME|PROFILES|ENV_FILES)|(HTTPS?|NO)_PROXY|PATH|HOME|USER|LANG|LC_\w+|TMPDIR",
    re.IGNORECASE,
)

_COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {}
"""What was found, by PATH, DOCKER_CONFIG and user."""


class ComposeError(Exception):
    """docker compose is missing, or refused; the words are its own last lines."""


@dataclass(frozen=True)
class Service:
    """One service as compose understands it, variables filled in."""

    name: str
    container_name: str
    image: str
    builds: bool
    depends_on: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    """Published on this machine, TCP only; a range or a port chosen by the Engine is left out."""


@dataclass(frozen=True)
class Project:
    name: str
    services: Mapping[str, Service]
    warnings: tuple[str, ...]


class Compose:
    """One project: its directory and its files. Every method raises ComposeError."""

    def __init__(self, files: Sequence[Path], docker_host: str | None = None) -> None:
        self.files = tuple(files)
        self._environ = {k: v for k, v in os.environ.items() if _PASSED.fullmatch(k)}
        if docker_host:
            self._environ["DOCKER_HOST"] = docker_host
        self._kept: tuple[int, ...] = ()

    @contextmanager
    def keeping(self, lock: int) -> Iterator[None]:
        """While the block runs, what is called inherits the open file ``lock``.

        So a command that outlives this process, when that is killed, keeps others out until it ends.
        """
        self._kept = (lock,)
        try:
            yield
        finally:
            self._kept = ()

    def project(self) -> Project:
        """What the files mean; refuses what ``docker compose config`` refuses."""
        done = self._run(["config", "--format", "json"], CONFIG_SECONDS)
        try:
            raw = json.loads(done.stdout)
            services = {
                name: Service(
                    name=name,
                    container_name=str(one.get("container_name") or ""),
                    image=str(one.get("image") or ""),
                    builds="build" in one,
                    depends_on=tuple(one.get("depends_on") or ()),
                    ports=_published(one.get("ports") or ()),
                )
                for name, one in raw["services"].items()
            }
            return Project(str(raw["name"]), services, _warnings(done.stderr))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise ComposeError(
                f"docker compose config answered what cannot be read: {error!r}"[:300]
            ) from error

    def up(self, service: str, override: Path | None = None) -> None:
        """Make this one service run as the files say, from local images, without touching another."""
        self._run(
            ["up", "-d", "--no-deps", "--no-build", "--pull", "never", service],
            UP_SECONDS,
            (*self.files, override) if override else self.files,
        )

    def remove(self, service: str) -> None:
        self._run(["rm", "--stop", "--force", service], UP_SECONDS)

    def _run(
        self, words: list[str], seconds: float, files: Sequence[Path] | None = None
    ) -> subprocess.CompletedProcess[str]:
        chosen = [word for file in (files or self.files) for word in ("-f", str(file))]
        return self._call([*self._found(), *chosen, *words], words[0], seconds)

    def _call(
        self, command: list[str], verb: str, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        try:
            done = subprocess.run(
                command,
                env=self._environ,
                cwd=self.files[0].parent,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
                pass_fds=self._kept,
                start_new_session=True,  # Ctrl-C must not cut it between stop and start
            )
        except subprocess.TimeoutExpired as error:
            raise ComposeError(f"docker compose {verb} took longer than {seconds:.0f}s") from error
        except OSError as error:
            raise ComposeError(f"docker compose {verb} cannot be started: {error}") from error
        if done.returncode:
            raise ComposeError(f"docker compose {verb}: {_last_words(done.stderr)}")
        return done

    def _found(self) -> tuple[str, ...]:
        """The plugin, else the stand-alone command, of version 2 or newer; looked for once a process."""
        environ = self._environ
        where = (environ.get("PATH", ""), environ.get("DOCKER_CONFIG", ""), str(os.geteuid()))
        if where not in _COMMANDS:
            _COMMANDS[where] = self._look_for_it()
        return _COMMANDS[where]

    def _look_for_it(self) -> tuple[str, ...]:
        path = self._environ.get("PATH")
        for words in (("docker", "compose"), ("docker-compose",)):
            if shutil.which(words[0], path=path) is None:
                continue
            try:
                done = self._call([*words, "version", "--short"], "version", CONFIG_SECONDS)
            except ComposeError:
                continue  # `docker` without the plugin: the stand-alone command is next
            version = re.match(r"v?(\d+)", done.stdout.strip())
            if version and int(version.group(1)) >= 2:
                return words
        raise ComposeError(
            "docker compose (version 2 or newer) is not installed: "
            "neither `docker compose` nor `docker-compose` answers"
        )


def _published(ports: Sequence[Mapping[str, object]]) -> tuple[int, ...]:
    """Compose's own form: ``{"published": "8000", "protocol": "tcp", …}``."""
    written = (str(p.get("published") or "") for p in ports if p.get("protocol", "tcp") == "tcp")
    return tuple(int(port) for port in written if port.isdigit())


def _last_words(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[:500] or "no word of why"


def _warnings(stderr: str) -> tuple[str, ...]:
    found = re.findall(r'level=warning msg="((?:[^"\\]|\\.)*)"', stderr)
    return tuple(words.replace('\\"', '"')[:200] for words in found)
