"""A container that prints the application's lines as a test tells it to, on the real Engine."""

from __future__ import annotations

import asyncio
import shlex
import uuid
from collections.abc import Callable

from tests.parts.exporter_kit import Samples
from tests.real.engine import DockerEngine

FILES = ("GET", "/api/files")
UPLOAD = ("POST", "/api/uploads/sermon")
LAST = ("sermon_uploader_requests_total", "HEAD", "/api/health")
"""Each script ends with one such request, so that a test knows when all of it has arrived."""


class App:
    """Containers of one name on the Engine, made and ended by hand, that print what they are told."""

    def __init__(self, engine: DockerEngine, image: str) -> None:
        self.engine = engine
        self.image = image
        self.name = f"sermon-uploader-{uuid.uuid4().hex[:8]}"

    async def docker(self, *arguments: str) -> str:
        return await asyncio.to_thread(self.engine.docker, *arguments)

    async def start(self, script: str, *options: str) -> str:
        """Run ``script`` in a new container; its id."""
        told = await self.docker(
            *("run", "--detach", "--network", "none", "--name", self.name),
            *(*options, self.image, "sh", "-c", script),
        )
        return told.strip()

    async def remove(self) -> None:
        await self.docker("rm", "--force", self.name)

    async def say(self, script: str) -> None:
        """Let a running container print more."""
        await self.docker("exec", self.name, "sh", "-c", f"exec >/proc/1/fd/1; {script}")


def line(status: int, method: str, path: str, latency: str = "1.5ms") -> str:
    return f"09:15:02 | {status} | {latency:>13} | 10.0.0.9 | {method} | {path}"


def echo(*lines: str) -> str:
    return "; ".join(f"printf '%s\\n' {shlex.quote(one)}" for one in lines)


def times(count: int, one: str) -> str:
    return f"for i in $(seq {count}); do {echo(one)}; done"


def run(*parts: str, then: str = "exec sleep 3600") -> str:
    return "; ".join([*parts, echo(line(200, "HEAD", "/api/health")), then])


def ended(count: int) -> Callable[[Samples], bool]:
    return lambda samples: samples[LAST] >= count


def values_of(samples: Samples, name: str, container: str) -> list[float]:
    return [value for key, value in samples.items() if key[0] == name and container in key]


def state_of(samples: Samples, container: str, state: str) -> float:
    found = [
        value
        for key, value in samples.items()
        if key[0] == "container_state" and container in key and state in key
    ]
    return found[0] if found else -1
