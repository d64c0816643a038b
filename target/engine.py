"""The one place that talks to the Docker Engine: what runs, restart, images.

Calls block for at most ``timeout`` seconds each; asyncio code runs them in a thread. What discovery
asks again and again is in engine_reader.py, streams (events, logs) are in engine_stream.py.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from target import engine_http
from target.times import parse_engine_time

KNOWN_GOOD = "sermon-monitor/known-good"
"""Repository of the local tags that keep a way back from ``docker image prune``."""
PULL_SECONDS = 900.0
DISK_USAGE_SECONDS = 120.0  # it counts every volume's files
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_PROJECT = "com.docker.compose.project"
REVISION = "org.opencontainers.image.revision"
VERSION = "org.opencontainers.image.version"
IRREVERSIBLE = "org.sermon-monitor.irreversible"
"""``true`` on an image: an older version cannot read what it writes, so none follows it by itself."""
_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
HEALTH = ("starting", "healthy", "unhealthy")
"""The Engine's ``none``, or no word at all, means that there is no health check."""


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
    irreversible: bool = False


class Engine:
    """Asks one Engine from a thread. Every method raises EngineError with words fit for a person."""

    def __init__(self, host: str | None = None, timeout: float = 5.0) -> None:
        """``host`` as in DOCKER_HOST (unix://, tcp://); None is the usual socket. Nothing is contacted yet."""
        self.host = host or "unix:///var/run/docker.sock"
        self.timeout = timeout

    def ping(self) -> None:
        self._ask("ping", "GET", "/_ping")

    def version(self) -> Mapping[str, Any]:
        """The Engine's own ``/version`` answer."""
        return self._object("version", "/version")

    def info(self) -> Mapping[str, Any]:
        """The Engine's own ``/info`` answer (CgroupDriver, CgroupVersion, …)."""
        return self._object("info", "/info")

    def containers(self) -> list[Container]:
        """All containers, stopped ones included. One that vanishes while being read is left out."""
        found = []
        for row in self._rows("list of containers", "/containers/json", {"all": "1"}):
            try:
                found.append(self.container(sound_id(row.get("Id"))))
            except TypeError as error:
                raise EngineError(f"list of containers: {error}") from error
            except EngineError as error:
                if not error.missing:
                    raise
        return found

    def container(self, name_or_id: str) -> Container:
        path = f"/containers/{quote(name_or_id, safe='')}/json"
        return parse_container(self._object(f"inspect of {name_or_id[:64]}", path))

    def inspect(self, name_or_id: str) -> Mapping[str, Any]:
        """The Engine's own answer about a container, for what Container does not hold (mounts, limits)."""
        path = f"/containers/{quote(name_or_id, safe='')}/json"
        return self._object(f"inspect of {name_or_id[:64]}", path)

    def stats(self, container_id: str) -> Mapping[str, Any]:
        """What a running container takes; the Engine looks twice, a second apart."""
        path = f"/containers/{container_id}/stats?stream=false"
        return self._object(f"stats of {container_id[:12]}", path)

    def disk_usage(self) -> Mapping[str, Any]:
        """The Engine's ``/system/df``: images, build cache, volumes. It may take its time."""
        found = self._ask("disk usage", "GET", "/system/df", timeout=DISK_USAGE_SECONDS).json()
        if not isinstance(found, dict):
            raise EngineError("disk usage: the Engine's answer is no object")
        return found

    def restart(self, container_id: str, stop_timeout: int = 10) -> None:
        """Stop (SIGTERM, after ``stop_timeout`` seconds SIGKILL) and start; a stopped container is started."""
        from target import engine_sdk

        engine_sdk.restart(self.host, container_id, stop_timeout, stop_timeout + 20)

    def start(self, container_id: str) -> None:
        """Start a container that does not run; one that runs already stays as it is."""
        self._ask(f"start of {container_id[:12]}", "POST", f"/containers/{container_id}/start")

    def stop(self, container_id: str, stop_seconds: int) -> None:
        """SIGTERM, after ``stop_seconds`` SIGKILL; its restart policy does not bring it back."""
        path = f"/containers/{container_id}/stop"
        what, query = f"stop of {container_id[:12]}", {"t": str(stop_seconds)}
        self._ask(what, "POST", path, query, timeout=stop_seconds + 20)

    def unpause(self, container_id: str) -> None:
        self._ask(f"unpause of {container_id[:12]}", "POST", f"/containers/{container_id}/unpause")

    def past_events(self, name: str, since: float, until: float) -> bytes:
        """What befell the containers of that name between two unix times, a line each, as far as the Engine remembers.

        target/engine_stream.py parses a line.
        """
        filters = {"type": ["container"], "container": [name], "event": ["die", "oom", "start"]}
        query = {"since": f"{since:.3f}", "until": f"{until:.3f}", "filters": json.dumps(filters)}
        return self._ask(f"events of {name[:64]}", "GET", "/events", query).body

    def recent_log(self, container_id: str, lines: int, since: float = 0.0) -> bytes:
        """The last ``lines`` entries since the unix time ``since``, stamped, as target/engine_tail.py reads them."""
        query = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        query |= {"tail": str(lines), "since": f"{since:.6f}"}
        what, path = f"log of {container_id[:12]}", f"/containers/{container_id}/logs"
        return self._ask(what, "GET", path, query, timeout=max(30.0, self.timeout)).body

    def image(self, reference: str) -> Image:
        """A local image by tag, digest or id. Raises EngineError(missing=True) where there is none."""
        path = f"/images/{quote(reference, safe='/:@')}/json"
        return _image(self._object(f"inspect of image {reference}", path))

    def images(self) -> list[Image]:
        """All local images, those without a tag included."""
        return [_image({**r, "Config": {"Labels": r.get("Labels")}}) for r in self.image_rows()]

    def image_rows(self) -> list[Mapping[str, Any]]:
        """The same as the Engine lists them, with sizes and times."""
        return self._rows("list of images", "/images/json")

    def pull(self, reference: str, timeout: float = PULL_SECONDS) -> Image:
        """Bring an image here, within ``timeout`` seconds in all; ``reference`` is ``repo:tag`` or ``repo@sha256:…``."""
        from target import engine_sdk

        done: Future[None] = Future()

        def work() -> None:
            try:
                engine_sdk.pull(self.host, reference, timeout)
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                done.set_exception(error)
            else:
                done.set_result(None)

        # In a thread, because the SDK sets no deadline at all for a pull's reads.
        threading.Thread(target=work, name="pull", daemon=True).start()
        try:
            done.result(timeout)
        except TimeoutError as error:
            raise engine_sdk.too_slow(reference) from error
        return self.image(reference)

    def tag(self, image_id: str, repository: str, tag: str) -> None:
        path = f"/images/{quote(image_id, safe='/:@')}/tag"
        self._ask(f"tag {repository}:{tag}", "POST", path, {"repo": repository, "tag": tag})

    def untag(self, reference: str) -> None:
        """Remove one tag; the image's layers stay while anything else names or uses them."""
        path = f"/images/{quote(reference, safe='/:@')}"
        self._ask(f"untag {reference}", "DELETE", path, {"noprune": "1"})

    def remove_image(self, reference: str) -> None:
        """Remove an image by a tag, a digest or its id; refused while a container is of it."""
        path = f"/images/{quote(reference, safe='/:@')}"
        self._ask(f"removal of {reference}", "DELETE", path, timeout=DISK_USAGE_SECONDS)

    def prune_build_cache(self) -> int:
        """Remove what no build uses; the bytes that this freed."""
        told = self._ask("build cache", "POST", "/build/prune", timeout=DISK_USAGE_SECONDS).json()
        return sound_int(dict(told or {}).get("SpaceReclaimed"))

    def close(self) -> None:
        """Nothing is kept open; the method stays for those who hold an Engine."""

    def _object(self, what: str, path: str) -> Mapping[str, Any]:
        answer = self._json(what, path, None)
        if not isinstance(answer, dict):
            raise EngineError(f"{what}: the Engine's answer is no object")
        return answer

    def _rows(
        self, what: str, path: str, query: Mapping[str, str] | None = None
    ) -> list[Mapping[str, Any]]:
        answer = self._json(what, path, query)
        if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
            raise EngineError(f"{what}: the Engine's answer is no list")
        return answer

    def _json(self, what: str, path: str, query: Mapping[str, str] | None) -> Any:
        answer = self._ask(what, "GET", path, query)
        try:
            return answer.json()
        except engine_http.UnreachableError as error:
            raise self._silent(what, error) from error

    def _ask(
        self,
        what: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> engine_http.Answer:
        try:
            answer = engine_http.ask(self.host, method, path, query, timeout or self.timeout)
        except engine_http.UnreachableError as error:
            raise self._silent(what, error) from error
        if answer.status == 404:
            raise EngineError(f"{what}: {answer.words()}", missing=True)
        if not 200 <= answer.status < 300 and answer.status != 304:  # 304: it is so already
            raise EngineError(f"{what}: the Engine refused: {answer.words()}")
        return answer

    def _silent(self, what: str, error: Exception) -> EngineError:
        return EngineError(f"{what}: the Engine at {self.host} does not answer ({error})")


def sound_id(value: object) -> str:
    """A container's id as it may stand in a path, a label and a file's name. Raises TypeError for any other."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise TypeError(f"no id of a container: {value!r:.80}")
    return value


def sound_int(value: object) -> int:
    """A number that fits 64 bits; 0 for none. Raises TypeError, ValueError for any other."""
    number = int(value or 0) if isinstance(value, int | str | float | None) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise ValueError(f"no number: {value!r:.40}")
    return number


def parse_container(raw: Mapping[str, Any]) -> Container:
    """An inspection's answer (Docker Engine API, "Inspect a container"). Raises EngineError for any other."""
    try:
        state, config = raw["State"], raw["Config"]
        return Container(
            id=sound_id(raw["Id"]),
            name=_text(raw["Name"]).lstrip("/"),
            image=_text(config["Image"]),
            image_id=_text(raw["Image"]),
            state=_text(state["Status"]),
            health=_health((state.get("Health") or {}).get("Status")),
            exit_code=sound_int(state.get("ExitCode")),
            oom_killed=bool(state.get("OOMKilled")),
            restart_count=sound_int(raw.get("RestartCount")),
            pid=sound_int(state.get("Pid")),
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
            irreversible=str(labels.get(IRREVERSIBLE, "")).lower() in ("true", "1", "yes"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"the Engine's answer about an image cannot be read: {error!r}"
        ) from error
