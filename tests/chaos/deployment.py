"""What is watched: an application and its MinIO on an Engine, and versions that are good or bad."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from target.engine import COMPOSE_PROJECT, COMPOSE_SERVICE
from target.version_keeper import LedgerFile
from target.versions import Facts, condemn, judge, observe
from tests.chaos.compose import PROJECT, Project
from tests.parts.scripted_engine import ScriptedEngine

APP, MINIO = "sermon-uploader", "minio"
GOOD_AFTER = timedelta(minutes=15)


class Clock:
    """The machine's clock: the Engine and the receiver share it, and it jumps."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.offset = 0.0
        self.jump(0.0)

    def jump(self, seconds: float) -> None:
        self.offset += seconds
        if not self.file.exists():
            self.file.write_bytes(b"\0" * 8)
        with self.file.open("r+b") as opened:  # in place: the receiver has it mapped
            opened.write(struct.pack("d", self.offset))

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset)


class Deployment(ScriptedEngine):
    """One Engine with both containers; ``version`` is what the application's runs."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        super().__init__(directory / "docker.sock")
        self.clock = clock
        self.version = self._newest = 1
        self.bad: set[int] = set()
        self.hung = set()
        """Of ScriptedEngine: inspections that never come."""
        self.frozen: set[str] = set()
        """Containers that run and do not answer, until they are restarted."""
        self.restarts: Counter[str] = Counter()
        """Requests to restart, by the container's name."""
        self.restarted: Counter[tuple[str, str]] = Counter()
        """The same by name and id: a container that is made anew is another one."""
        self.restart_seconds: Callable[[], float] = lambda: 0.05
        self.refusal = ""
        """What the Engine says instead of restarting or stopping anything."""
        self.gone: Callable[[], bool] = lambda: False
        """Whether no image is here any more."""
        self.lost_answers = 0
        """So many answers to a restart are still to be cut off, after it was done."""
        self.tags: dict[str, str] = {}
        """Image ids by the names that the receiver gave them."""
        self.rubbish: dict[str, dict[str, Any]] = {}
        """Images that nothing needs, by id."""
        self.removed: list[str] = []
        """Ids of images that were deleted."""
        self.named: set[str] = set()
        """Ids of those old versions that may go only on a person's word."""
        self.stopped: list[str] = []
        """Ids of containers that were stopped by request."""
        self.project = Project(directory)
        self._ids = itertools.count(1)
        self._nano = itertools.count(1)
        self.ledger = LedgerFile(directory / "state" / "versions.json", say=lambda _: None)
        for name in (APP, MINIO):
            self._create(name)
        self.project.names(f"{APP}:v{self.version}")

    def well(self, name: str) -> bool:
        """Whether its health endpoint answers 200."""
        return (
            self._state(name)["Status"] == "running"
            and name not in self.frozen
            and (name != APP or self.version not in self.bad)
        )

    def runs(self, name: str) -> bool:
        """Whether its container does."""
        return bool(self._state(name)["Status"] == "running")

    def stop(self, name: str) -> None:
        self._state(name).update(Status="exited", Pid=0)
        self._say("die", name)

    def run_version(self, version: int) -> None:
        """Another image is deployed."""
        self.project.names(f"{APP}:v{version}")
        self._replace(version)

    def up(self, image: str) -> None:
        """As compose does it: what the file names runs, and nothing is touched where it does already."""
        found = self._version_of(image)
        if found is not None and (found != self.version or not self.runs(APP)):
            self._replace(found)

    def _version_of(self, image: str) -> int | None:
        names = {f"{APP}:v{version}": version for version in range(self._newest + 1)}
        ids = {image_of(version): version for version in range(self._newest + 1)}
        return names.get(image, ids.get(self.tags.get(image, image)))

    def pile_up(self, nameless: int, old: int) -> None:
        """Images that may go: without a name, and of versions long ago."""
        for number in range(nameless + old):
            key = image_of(-1 - len(self.removed) - len(self.rubbish))
            names = [f"{APP}:old-{key[7:15]}"] if number < old else []
            more = {"RepoTags": names, "RepoDigests": [], "Size": 1000, "Containers": 0}
            self.named.update([key] if names else [])
            self.rubbish[key] = {"Id": key, "Created": 1_600_000_000, "Labels": {}, **more}

    def _replace(self, version: int) -> None:
        """A container of its own, of another image."""
        self.version = version
        self._newest = max(self._newest, version)
        self.frozen.discard(APP)
        del self.containers[self._key(APP)]
        self._create(APP)

    def deploy_bad(self) -> None:
        """A new version that does not work, after one that the ledger knows as good."""
        self.bad.add(self._newest + 1)
        self.deploy()

    def deploy(self) -> None:
        """A new version, after one that the ledger knows as good."""
        former, new = self.version, self._newest + 1
        self.ledger.update(lambda ledger: self._proved(ledger, former, new))
        self.run_version(new)

    def put_right(self) -> None:
        """As a person on the host would: a new version that works, everything started."""
        self.run_version(self._newest + 1)
        self.frozen.clear()
        if not self.well(MINIO):
            self._start(MINIO)

    def version_of_commit(self, commit: str) -> int:
        return next(v for v in range(self._newest + 1) if facts_of(v).revision == commit)

    def _proved(self, ledger: Any, good: int, new: int) -> Any:
        now = self.clock.now() - timedelta(days=2)
        for version, well in ((good, True), (new, False)):
            ledger = observe(ledger, APP, facts_of(version), now)
            if well:  # a human's word counts more than what an earlier rollback left behind
                for hours in (0, 1):
                    ledger = judge(ledger, APP, True, now + timedelta(hours=hours), GOOD_AFTER)
            now += timedelta(days=1)
        return ledger if new == good else condemn(ledger, APP, image_of(0))

    def _create(self, name: str) -> None:
        key = hashlib.sha256(f"{name}{next(self._ids)}".encode()).hexdigest()
        self.add(key, name, StartedAt=_text(self.clock.now()))
        version = self.version if name == APP else 0
        self.containers[key].update(
            Image=image_of(version),
            Config={
                "Image": f"{name}:v{version}",
                "Labels": {COMPOSE_PROJECT: PROJECT, COMPOSE_SERVICE: name},
            },
            Created=_text(self.clock.now()),
        )
        self._say("start", name)

    def _start(self, name: str) -> None:
        self.frozen.discard(name)
        self._state(name).update(Status="running", Pid=42, StartedAt=_text(self.clock.now()))
        self._say("start", name)

    def _key(self, name: str) -> str:
        return next(k for k, c in self.containers.items() if c["Name"] == f"/{name}")

    def _state(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = self.containers[self._key(name)]["State"]
        return state

    def _say(self, action: str, name: str) -> None:
        self.tell(action, self._key(name), next(self._nano), name=name)

    def routes(self, app: web.Application) -> None:
        super().routes(app)
        app.router.add_get("/version", _version)
        app.router.add_post("/{api}/containers/{id}/restart", self._restart)
        app.router.add_get("/info", _info)
        app.router.add_post("/containers/{id}/stop", self._stop)
        app.router.add_get("/containers/{id}/logs", _log)
        app.router.add_post("/build/prune", _prune)
        app.router.add_get("/images/json", self._images)
        app.router.add_get("/images/{name:.+}/json", self._image)
        app.router.add_post("/images/{name:.+}/tag", self._tag)
        app.router.add_delete("/images/{name:.+}", self._remove)

    async def _restart(self, request: web.Request) -> web.Response:
        """As the Engine does it: to its end, whoever asked may have gone meanwhile."""
        key = request.match_info["id"]
        if key not in self.containers:
            return web.json_response({"message": "No such container"}, status=404)
        if self.refusal:
            return web.json_response({"message": self.refusal}, status=500)
        name = self.containers[key]["Name"].lstrip("/")
        self.restarts[name] += 1
        self.restarted[name, key] += 1
        await asyncio.shield(asyncio.ensure_future(self._carry_out(name, key)))
        if self.lost_answers > 0 and request.transport is not None:
            self.lost_answers -= 1
            request.transport.abort()
        return web.Response(status=204)

    async def _carry_out(self, name: str, key: str) -> None:
        await asyncio.sleep(self.restart_seconds())
        if key in self.containers:
            self._start(name)

    async def _stop(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        if key not in self.containers:
            return web.json_response({"message": "No such container"}, status=404)
        if self.refusal:
            return web.json_response({"message": self.refusal}, status=500)
        self.stopped.append(key)
        self.stop(self.containers[key]["Name"].lstrip("/"))
        return web.Response(status=204)

    async def _tag(self, request: web.Request) -> web.Response:
        self.tags["{repo}:{tag}".format_map(request.query)] = request.match_info["name"]
        return web.Response(status=201)

    async def _remove(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.rubbish:
            return web.json_response({"message": "No such image"}, status=404)
        del self.rubbish[name]
        self.removed.append(name)
        return web.json_response([{"Deleted": name}])

    async def _images(self, _: web.Request) -> web.Response:
        known = [_image_json(v) for v in range(self._newest + 1)]
        return web.json_response([*known, *self.rubbish.values()])

    async def _image(self, request: web.Request) -> web.Response:
        found = self._version_of(request.match_info["name"])
        if found is None or self.gone():
            return web.json_response({"message": "No such image"}, status=404)
        return web.json_response(_image_json(found))


def image_of(version: int) -> str:
    return f"sha256:{hashlib.sha256(str(version).encode()).hexdigest()}"


def facts_of(version: int) -> Facts:
    return Facts(
        f"{APP}:v{version}",
        image_of(version),
        tag=f"v{version}",
        revision=hashlib.sha256(f"commit {version}".encode()).hexdigest()[:40],
        version=f"v{version}",
    )


def _image_json(version: int) -> dict[str, Any]:
    facts = facts_of(version)
    labels = {
        "org.opencontainers.image.revision": facts.revision,
        "org.opencontainers.image.version": facts.version,
    }
    return {"Id": facts.image_id, "RepoTags": [facts.image], "RepoDigests": [], "Config": {"Labels": labels}, "Labels": labels}  # fmt: skip


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def _version(_: web.Request) -> web.Response:
    return web.json_response({"ApiVersion": "1.41", "Version": "20.10.24"})


async def _info(_: web.Request) -> web.Response:
    return web.json_response({"DockerRootDir": "/nowhere"})


async def _log(_: web.Request) -> web.Response:
    return web.Response(body=b"")


async def _prune(_: web.Request) -> web.Response:
    return web.json_response({"SpaceReclaimed": 4096})


@asynccontextmanager
async def endpoints(deployment: Deployment) -> AsyncIterator[tuple[str, str]]:
    """Addresses of the application and of MinIO."""

    def serving(name: str) -> TestServer:
        async def health(_: web.Request) -> web.Response:
            return web.json_response({}, status=200 if deployment.well(name) else 503)

        application = web.Application()
        application.router.add_get("/{path:.*}", health)
        return TestServer(application)

    async with AsyncExitStack() as stack:
        urls = [
            str((await stack.enter_async_context(serving(name))).make_url("")).rstrip("/")
            for name in (APP, MINIO)
        ]
        yield urls[0], urls[1]
