"""The process: starts the rooms in order, watches them, stops them in named phases."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from exporter.app import Exporter
from receiver.clock import SystemClock
from sermon_monitor import allocator
from sermon_monitor.deployments import Deployment
from sermon_monitor.first_backup import save_first
from sermon_monitor.listening.basic_auth import BasicAuth
from sermon_monitor.listening.connections import Connections, Limits
from sermon_monitor.listening.listener import Listener, allow_files
from sermon_monitor.listening.web_config import WebConfigError, WebConfiguration
from sermon_monitor.posts import Alone, Post, Several
from sermon_monitor.settings import Settings
from target.discovery import Discovery
from target.engine import Engine
from target.settings import split_address

log = structlog.get_logger("serve")
Only = Literal["exporter", "receiver"] | None
LIMITS = {"exporter": Limits(most=128), "receiver": Limits()}


class StartError(Exception):
    """The process cannot start; the words say what to mend."""


class Process:
    """Exporter, receiver and ledger in one event loop."""

    def __init__(
        self,
        settings: Settings,
        only: Only,
        config: Path | None = None,
        found: Sequence[Deployment] = (),
    ) -> None:
        """``config``: the file that the settings are also of. ``found``: those of DEPLOYMENTS_FILE."""
        self.settings = settings
        self._only = only
        self._clock = SystemClock()
        self._registry = CollectorRegistry()
        self._engine = Engine(settings.docker_host)
        self._discovery = Discovery(self._engine, settings.app_containers)
        self._exporter = (
            Exporter(settings, self._engine, self._discovery, self._registry)
            if only != "receiver"
            else None
        )
        self._receiving: Alone | Several | None = None
        if found and only != "exporter":
            self._receiving = Several(settings, found, self._registry, self._clock)
        elif only != "exporter":
            save = partial(save_first, settings.backup_dir, config)
            ours = (self._engine, self._discovery, self._registry, self._clock)
            self._receiving = Alone(Post(settings, *ours, save))
        self._web: WebConfiguration | None = None
        self._listeners: list[Listener] = []
        self._runners: list[web.AppRunner] = []
        self._background: list[asyncio.Task[None]] = []
        self._phases: list[tuple[str, Callable[[], Awaitable[Any]]]] = []
        self._present = Gauge(
            "sermon_monitor_connections",
            "Connections to a listener.",
            ["listener"],
            registry=self._registry,
        )
        self._cut = Counter(
            "sermon_monitor_connections_cut",
            "Connections to a listener that were ended: too slow, or in the way of others.",
            ["listener", "reason"],
            registry=self._registry,
        )

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises StartError, or what ended a room before its time."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            await self._start()
            _settle()
            await self._wait(stop)
        finally:
            await self._stop()

    async def _start(self) -> None:
        if self.settings.web_config_file:
            try:
                self._web = WebConfiguration(self.settings.web_config_file)
            except WebConfigError as error:
                raise StartError(f"WEB_CONFIG_FILE: {error}") from error
        self._phases.append(("close the Engine", self._close_engine))
        self._phases.append(("stop looking", self._stop_background))
        self._begin("discovery", self._discovery.run())
        if self._receiving:
            if isinstance(self._receiving, Several):
                self._phases.insert(0, ("close the deployments' Engines", self._receiving.close))
            self._phases.append(("finish what is in hand and commit", self._receiving.stop))
            application = await self._receiving.start()
            await self._listen("receiver", application, self.settings.receiver_listen)
            self._receiving.keep(self._begin)
        if self._exporter:
            self._phases.append(("stop the exporter", self._exporter.stop))
            await self._exporter.start()
            application = self._exporter.application()
            if self._web:  # the receiver has tokens of its own in the same header
                application.middlewares.append(BasicAuth(self._web.users).middleware)
            await self._listen("exporter", application, self.settings.exporter_listen)

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._background.append(asyncio.create_task(work, name=name))

    async def _listen(self, name: str, application: web.Application, address: str) -> None:
        room = self._room(name, LIMITS[name])
        application.middlewares.insert(0, room.middleware)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        self._runners.append(runner)
        if runner.server is None:
            raise StartError(f"the {name} has no server after its set-up")
        secure = self._web.context if self._web and self._web.wanted else None
        listener = Listener(runner.server, room, secure)
        self._listeners.append(listener)
        setting = f"{name.upper()}_LISTEN"
        try:
            await listener.start(*split_address(address))
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise StartError(f"{setting}={address}: cannot listen there: {why}") from error
        log.info("listening", setting=setting, address=address, tls=secure is not None)

    def _room(self, name: str, limits: Limits) -> Connections:
        if name == "receiver" and self._receiving:
            lasting = frozenset(f"{path}/live" for path in self._receiving.paths)
            limits = replace(limits, lasting=lasting)
        room = Connections(limits, lambda reason: self._cut.labels(name, reason).inc())
        self._present.labels(name).set_function(lambda: len(room))
        for reason in ("slow", "crowded"):
            self._cut.labels(name, reason)
        return room

    async def _wait(self, stop: asyncio.Event) -> None:
        """Until we are asked to stop, or a task that must not end has ended."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait(
            [stopping, *self._background], return_when=asyncio.FIRST_COMPLETED
        )
        stopping.cancel()
        for task in done - {stopping}:
            task.result()
            raise StartError(f"the {task.get_name()} has ended by itself")

    async def _stop_background(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _close_engine(self) -> None:
        await asyncio.to_thread(self._engine.close)

    async def _stop(self) -> None:
        """Stop accepting first, then everything in the reverse order of its start."""
        log.info("shutting down", phase="stop accepting")
        for listener in self._listeners:
            listener.stop()
        for runner in self._runners:
            await runner.cleanup()
        for name, phase in reversed(self._phases):
            log.info("shutting down", phase=name)
            await phase()
        log.info("stopped")


def _settle() -> None:
    """All that the start has made stays: the search for garbage need not go through it ever again.

    Otherwise every now and then a scrape or a webhook would wait for a look at some 70,000 objects.
    """
    gc.collect()
    gc.freeze()
    allocator.give_back()


def serve(
    settings: Settings, only: Only, config: Path | None = None, found: Sequence[Deployment] = ()
) -> None:
    """Run the process until it is told to stop. ``found``: those of DEPLOYMENTS_FILE."""
    allocator.keep_little()
    allow_files()
    asyncio.run(Process(settings, only, config, found).run())
