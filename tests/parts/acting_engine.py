"""A scripted Engine on which containers can be restarted and stopped, and images and build cache deleted."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.parts.scripted_engine import ScriptedEngine


class ActingEngine(ScriptedEngine):
    """As a real one answers; ``done`` is what was changed, in order."""

    done: list[str]

    def routes(self, app: web.Application) -> None:
        super().routes(app)
        self.done = []
        self.images: list[dict[str, Any]] = []
        self.cache_bytes = 0
        more = [
            web.get("/version", self._version),
            web.get("/v{version}/version", self._version),
            web.get("/info", self._info),
            web.get("/images/json", self._images),
            web.post("/v{version}/containers/{id}/restart", self._restart),
            web.post("/containers/{id}/stop", self._stop),
            web.post("/build/prune", self._prune),
            web.delete("/images/{id:.+}", self._remove),
        ]
        app.add_routes(more)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41", "Version": "20.10.24"})

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response({"DockerRootDir": "/etc"})

    async def _restart(self, request: web.Request) -> web.Response:
        return self._changed("restart", request.match_info["id"], "running")

    async def _stop(self, request: web.Request) -> web.Response:
        return self._changed("stop", request.match_info["id"], "exited")

    def _changed(self, what: str, key: str, state: str) -> web.Response:
        one = self.containers.get(key)
        if one is None:
            return web.json_response({"message": "No such container"}, status=404)
        self.done.append(f"{what} {one['Name'].lstrip('/')}")
        one["State"]["Status"] = state
        return web.Response(status=204)

    async def _images(self, _: web.Request) -> web.Response:
        return web.json_response(self.images)

    async def _prune(self, _: web.Request) -> web.Response:
        freed, self.cache_bytes = self.cache_bytes, 0
        self.done.append("prune build cache")
        return web.json_response({"CachesDeleted": [], "SpaceReclaimed": freed})

    async def _remove(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        if not any(one["Id"] == wanted for one in self.images):
            return web.json_response({"message": "No such image"}, status=404)
        self.images = [one for one in self.images if one["Id"] != wanted]
        self.done.append(f"remove {wanted}")
        return web.json_response([{"Deleted": wanted}])
