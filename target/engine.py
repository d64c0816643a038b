"""The one place that talks to the Docker Engine: what runs, restart, images.

Calls block for at most ``timeout`` seconds each; asyncio code runs them in a thread. What discovery
asks again and again is in engine_reader.py, streams (events, logs) are in engine_stream.py.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import docker
import docker.errors
import requests
from docker.constants import DEFAULT_DOCKER_API_VERSION

from target.times import parse_engine_time

KNOWN_GOOD = "sermon-monitor/known-good"
"""Repository of the local tags that keep a way back from ``docker image prune``."""
PULL_SECONDS = 900.0
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_PROJECT = "com.docker.compose.project"
REVISION = "org.opencontainers.image.revision"
VERSION = "org.opencontainers.image.version"
HEALTH = ("starting", "healthy", "unhealthy")
"""The Engine's ``none``, or no word at all, means that there is no health check."""

Result = TypeVar("Result")


class EngineError(Exception):
    """The Engine cannot be reached, or refused. ``missing`` when it does not know the thing asked for."""

    def __init__(self, words: str, *, missing: bool = False) -> None:
        super().__init__(words)
        self.missing = missing


@dataclass(frozen=True)
class Container:
    """One container as the Engine's inspect tells it."""

    id: str
    name: str
    image: str
    """What it was created from, as written: a tag, a digest or an id."""
    image_id: str
    state: str
    """created, running, paused, restarting, removing, exited or dead."""
    health: str | None
    """starting, healthy, unhealthy; None without a healthcheck."""
    exit_code: int
    oom_killed: bool
    restart_count: int
    pid: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    tty: bool
    log_path: str
    restart_policy: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """The compose service, or the container's name where compose did not make it."""
        return self.labels.get(COMPOSE_SERVICE) or self.name

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class Image:
    """One local image."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    revision: str
    version: str


class Engine:
    """A connection to one Engine. Every method raises EngineError with words fit for a person."""

    def __init__(self, host: str | None = None, timeout: float = 5.0) -> None:
        """``host`` as in DOCKER_HOST (unix://, tcp://); None is the usual socket. Nothing is contacted yet."""
        self.host = host or "unix:///var/run/docker.sock"
        self.timeout = timeout
        self._client: docker.DockerClient | None = None

    def ping(self) -> None:
        self._call("ping", lambda client: client.ping())

    def version(self) -> Mapping[str, Any]:
        """The Engine's own ``/version`` answer."""
        answer: Mapping[str, Any] = self._call("version", lambda client: client.version())
        return answer

    def info(self) -> Mapping[str, Any]:
        """The Engine's own ``/info`` answer (CgroupDriver, CgroupVersion, …)."""
        answer: Mapping[str, Any] = self._call("info", lambda client: client.info())
        return answer

    def containers(self) -> list[Container]:
        """All containers, stopped ones included. One that vanishes while being read is left out."""
        listed = self._call("list of containers", lambda client: client.api.containers(all=True))
        found = []
        for row in listed:
            try:
                found.append(self.container(row["Id"]))
            except EngineError as error:
                if not error.missing:
                    raise
        return found

    def container(self, name_or_id: str) -> Container:
        return parse_container(
            self._call(
                f"inspect of {name_or_id[:64]}",
                lambda client: client.api.inspect_container(name_or_id),
            )
        )

    def restart(self, container_id: str, stop_timeout: int = 10) -> None:
        """Stop (SIGTERM, after ``stop_timeout`` seconds SIGKILL) and start; a stopped container is started."""
        self._call(
            "restart",
            lambda client: client.api.restart(container_id, timeout=stop_timeout),
            stop_timeout + 20,
        )

    def image(self, reference: str) -> Image:
        """A local image by tag, digest or id. Raises EngineError(missing=True) where there is none."""
        return _image(
            self._call(
                f"inspect of image {reference}", lambda client: client.api.inspect_image(reference)
            )
        )

    def images(self) -> list[Image]:
        """All local images, those without a tag included."""
        listed = self._call("list of images", lambda client: client.api.images())
        return [_image({**row, "Config": {"Labels": row.get("Labels")}}) for row in listed]

    def pull(self, reference: str, timeout: float = PULL_SECONDS) -> Image:
        """Bring an image here, within ``timeout`` seconds in all; ``reference`` is ``repo:tag`` or ``repo@sha256:…``."""
        deadline = time.monotonic() + timeout
        done: Future[None] = Future()

        def work() -> None:
            engine = Engine(self.host, timeout)
            try:
                engine._call(
                    f"pull of {reference}", lambda client: _pull(client, reference, deadline)
                )
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                done.set_exception(error)
            else:
                done.set_result(None)
            finally:
                engine.close()

        # In a thread, because the SDK sets no deadline at all for a pull's reads.
        threading.Thread(target=work, name="pull", daemon=True).start()
        try:
            done.result(timeout)
        except TimeoutError as error:
            raise _too_slow(reference) from error
        return self.image(reference)

    def tag(self, image_id: str, repository: str, tag: str) -> None:
        self._call(
            f"tag {repository}:{tag}", lambda client: client.api.tag(image_id, repository, tag)
        )

    def untag(self, reference: str) -> None:
        """Remove one tag; the image's layers stay while anything else names or uses them."""
        self._call(
            f"untag {reference}", lambda client: client.api.remove_image(reference, noprune=True)
        )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(
        self, what: str, ask: Callable[[Any], Result], timeout: float | None = None
    ) -> Result:
        try:
            if timeout is not None and timeout > self.timeout:
                # A pull or a restart takes its time; its own client keeps the short deadline of the others.
                client = self._connect(timeout)
                try:
                    return ask(client)
                finally:
                    client.close()
            if self._client is None:
                self._client = self._connect(self.timeout)
            return ask(self._client)
        except docker.errors.NotFound as error:
            raise EngineError(f"{what}: {error.explanation or error}", missing=True) from error
        except docker.errors.APIError as error:
            raise EngineError(
                f"{what}: the Engine refused: {error.explanation or error}"
            ) from error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            self.close()
            raise EngineError(
                f"{what}: the Engine at {self.host} does not answer ({type(error).__name__})"
            ) from error

    def _connect(self, timeout: float) -> docker.DockerClient:
        """A client that speaks the Engine's own API version."""
        seconds = int(max(1, timeout))
        if self.host.startswith("unix://"):
            # The SDK leaves its socket open when nobody listens: find that out without it.
            with socket.socket(socket.AF_UNIX) as knock:
                knock.settimeout(seconds)
                knock.connect(self.host.removeprefix("unix://"))
        asking = docker.APIClient(
            base_url=self.host, version=DEFAULT_DOCKER_API_VERSION, timeout=seconds
        )
        try:
            version = asking.version(api_version=False)["ApiVersion"]
        except (KeyError, TypeError) as error:
            raise docker.errors.DockerException(f"not an Engine's answer: {error!r}") from error
        finally:
            asking.close()
        return docker.DockerClient(base_url=self.host, version=version, timeout=seconds)


def _too_slow(reference: str) -> EngineError:
    return EngineError(f"pull of {reference}: not done in the time it had")


def _pull(client: docker.DockerClient, reference: str, deadline: float) -> None:
    """Follow a pull's progress to its end (Docker Engine API, "Create an image")."""
    try:
        for step in client.api.pull(reference, stream=True, decode=True):
            if time.monotonic() > deadline:
                raise _too_slow(reference)
            if isinstance(step, dict) and "error" in step:
                raise EngineError(f"pull of {reference}: the Engine refused: {step['error']}")
    except docker.errors.StreamParseError as error:
        raise EngineError(f"pull of {reference}: the Engine's answer cannot be read") from error


def parse_container(raw: Mapping[str, Any]) -> Container:
    """An inspection's answer (Docker Engine API, "Inspect a container"). Raises EngineError for any other."""
    try:
        state, config = raw["State"], raw["Config"]
        return Container(
            id=_text(raw["Id"]),
            name=_text(raw["Name"]).lstrip("/"),
            image=_text(config["Image"]),
            image_id=_text(raw["Image"]),
            state=_text(state["Status"]),
            health=_health((state.get("Health") or {}).get("Status")),
            exit_code=int(state.get("ExitCode") or 0),
            oom_killed=bool(state.get("OOMKilled")),
            restart_count=int(raw.get("RestartCount") or 0),
            pid=int(state.get("Pid") or 0),
            created_at=parse_engine_time(raw["Created"]) or datetime.fromtimestamp(0).astimezone(),
            started_at=parse_engine_time(state.get("StartedAt") or ""),
            finished_at=parse_engine_time(state.get("FinishedAt") or ""),
            tty=bool(config.get("Tty")),
            log_path=_text(raw.get("LogPath") or ""),
            restart_policy=_text(
                ((raw.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "no"
            ),
            labels={str(key): str(value) for key, value in (config.get("Labels") or {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EngineError(
            f"the Engine's answer about a container cannot be read: {error!r}"[:300]
        ) from error


def _health(status: object) -> str | None:
    return status if isinstance(status, str) and status in HEALTH else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r:.40}")
    return value


def _image(raw: Mapping[str, Any]) -> Image:
    try:
        labels = (raw.get("Config") or {}).get("Labels") or {}
        return Image(
            id=raw["Id"],
            tags=tuple(raw.get("RepoTags") or ()),
            digests=tuple(raw.get("RepoDigests") or ()),
            revision=str(labels.get(REVISION, "")),
            version=str(labels.get(VERSION, "")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"the Engine's answer about an image cannot be read: {error!r}"
        ) from error
