"""An address that is listened on, and who is let in there."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext

import structlog
from aiohttp import web

from sermon_monitor.listening.connections import Connection, Connections

BACKLOG = 1024
HANDSHAKE_SECONDS, GOODBYE_SECONDS = 10.0, 2.0
PAUSE_SECONDS = 0.2
"""Where the system has no descriptor or memory left for one more."""
MOST_AT_ONCE = 64
"""So that those who come do not keep waiting those who are here."""
WANTED_FILES = 4096
_NOTHING_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = structlog.get_logger("serve")
Secure = Callable[[], SSLContext]


class Listener:
    """``server`` makes aiohttp's protocols; ``secure`` gives the TLS of each new connection, None for none."""

    def __init__(
        self, server: web.Server, connections: Connections, secure: Secure | None = None
    ) -> None:
        self._server = server
        self._connections = connections
        self._secure = secure
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._pauses: set[asyncio.TimerHandle] = set()

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(one.getsockname()[1] for one in self._sockets)

    async def start(self, host: str, port: int) -> None:
        """Listen on every address of ``host``. Raises OSError or UnicodeError."""
        found = await self._loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, kind, number, _, address in dict.fromkeys(found):
                self._bind(socket.socket(family, kind, number), address)
        except OSError:
            self.stop()
            raise
        for one in self._sockets:
            self._loop.add_reader(one.fileno(), self._accept, one)

    def stop(self) -> None:
        """Let nobody in any more; whoever is in stays."""
        for pause in self._pauses:
            pause.cancel()
        for one in self._sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        self._sockets = []

    def _bind(self, one: socket.socket, address: tuple[object, ...]) -> None:
        self._sockets.append(one)
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if one.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                one, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NOTHING_LEFT:
                    raise
                self._rest(listening, error)
                return
            if self._connections.admit():
                one.setblocking(False)
                self._connections.opening(self._loop.create_task(self._open(one)))
            else:
                one.close()

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """Otherwise the loop would do nothing but fail to accept."""
        log.error("nobody more can be let in for now", problem=error.strerror)
        self._loop.remove_reader(listening.fileno())

        def again() -> None:
            self._pauses.discard(pause)
            self._loop.add_reader(listening.fileno(), self._accept, listening)

        pause = self._loop.call_later(PAUSE_SECONDS, again)
        self._pauses.add(pause)

    async def _open(self, one: socket.socket) -> None:
        """Whoever leaves, or cannot shake hands, is nobody's concern."""
        tls = self._secure() if self._secure else None
        with suppress(OSError):
            try:
                await self._loop.connect_accepted_socket(
                    self._protocol,
                    one,
                    ssl=tls,
                    ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
                    ssl_shutdown_timeout=GOODBYE_SECONDS if tls else None,
                )
            except BaseException:  # also when we are cancelled: nobody else would close it
                one.close()
                raise

    def _protocol(self) -> Connection:
        return Connection(self._server(), self._connections)


def allow_files() -> None:
    """As many open files as are allowed at all, up to WANTED_FILES: some systems begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
