"""Where the receiver half of the process stands: at one deployment, or at each of several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from receiver.actions.local_rollback import SaveFirst
from receiver.clock import Clock
from receiver.deciding.policy import PolicyError
from receiver.hearing.sorting import ALL, Share
from receiver.paths import base
from receiver.service import Receiver
from sermon_monitor.bookkeeping import Bookkeeper
from sermon_monitor.deployments import Deployment
from sermon_monitor.first_backup import save_first
from sermon_monitor.settings import Settings
from target.discovery import Discovery
from target.engine import Engine

THREADS_EACH = 8
"""They are made when there is no idle one."""
Begin = Callable[[str, Coroutine[Any, Any, None]], None]


class Post:
    """A deployment's Engine, what runs there, its receiver and its ledger."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        discovery: Discovery,
        registry: CollectorRegistry,
        clock: Clock,
        save: SaveFirst | None,
        share: Share = ALL,
    ) -> None:
        self.engine = engine
        self.discovery = discovery
        self.receiver = Receiver(settings, engine, registry, clock, save_first=save, share=share)
        self.books = Bookkeeper(self.receiver, engine, discovery, clock)


class Alone:
    """One deployment: that of the process's own settings, by the process's own Engine."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self.start = post.receiver.start
        self.stop = post.receiver.stop
        self.paths = ("",)
        """What the paths of each board begin with."""

    def keep(self, begin: Begin) -> None:
        """Begin what goes on beside it."""
        begin("ledger", self._post.books.run())
        begin("receiver", self._post.receiver.wait_failure())


class Several:
    """A post at each deployment of DEPLOYMENTS_FILE. Raises PolicyError with its name."""

    def __init__(
        self,
        settings: Settings,
        found: Sequence[Deployment],
        registry: CollectorRegistry,
        clock: Clock,
    ) -> None:
        from receiver.several import house  # noqa: PLC0415 - one deployment alone has none

        self._posts: list[Post] = []
        members = []
        for one in found:
            own = CollectorRegistry()
            engine = Engine(one.settings.docker_host)
            discovery = Discovery(engine, one.settings.app_containers)
            try:
                post = Post(one.settings, engine, discovery, own, clock, _saving(one), one.share)
            except PolicyError as error:
                raise PolicyError([f"{one.name}: {words}" for words in error.problems]) from error
            self._posts.append(post)
            members.append(house.Member(post.receiver, own))
        self._members = members
        self._house = house.House(settings, members, registry)
        self.stop = self._house.stop
        self.paths = ("", *(base(one.name) for one in found))

    async def start(self) -> web.Application:
        """Each deployment's calls that block, as those to an Engine that does not answer, have threads enough."""
        most = THREADS_EACH * len(self._posts)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(most))
        return await self._house.start()

    def keep(self, begin: Begin) -> None:
        for post, member in zip(self._posts, self._members, strict=True):
            member.call(partial(begin, f"discovery of {member.name}", post.discovery.run()))
            member.call(partial(begin, f"ledger of {member.name}", post.books.run()))
        begin("receivers", self._house.wait_failure())

    async def close(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(post.engine.close) for post in self._posts))


def _saving(one: Deployment) -> SaveFirst | None:
    """The toolkit reads the settings of that deployment, and of no other; nothing is saved of another machine."""
    if one.settings.machine == "elsewhere":
        return None
    return partial(save_first, one.settings.backup_dir, None, environment=one.environment)
