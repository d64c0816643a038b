"""A connection for one probe, made step by step, so that each step's time is known.

aiohttp's tracing tells the time of TCP and TLS only in one sum, and none of a step that fails.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, urlsplit

from target.blocking import Blocking
from target.certificate import CertificateError, not_after

Phase = Literal["dns", "connect", "tls", "first_byte", "body"]
PHASES: tuple[Phase, ...] = ("dns", "connect", "tls", "first_byte", "body")
"""In their order. ``first_byte``: from the request to the answer's first byte."""
_KEPT_IN_URL = "/%:@!$&'()*+,;=~?"
_LONGEST_SECONDS = 3600.0
"""Of asyncio's own limits: the probe's deadline is always shorter."""

Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
Resolver = Blocking[list[Place]]


@dataclass
class Stopwatch:
    """The seconds of each phase; of the one that was never left, until ``stop``."""

    phases: dict[Phase, float] = field(default_factory=dict)
    phase: Phase | None = None
    _since: float = 0.0

    def enter(self, phase: Phase) -> None:
        self.stop()
        self.phase, self._since = phase, time.monotonic()

    def stop(self) -> None:
        if self.phase is not None:
            self.phases[self.phase] = time.monotonic() - self._since


@dataclass(frozen=True)
class Target:
    """The parts of a URL that a connection and a request need."""

    host: str
    port: int
    secure: bool
    authority: str
    """As the Host field says it."""
    path: str


def target_of(url: str) -> Target:
    """Raises ValueError for a URL that leads nowhere: a port that is none, a name that cannot be a host's."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    usual = 443 if secure else 80
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    port = parts.port or usual
    shown = f"[{host}]" if ":" in host else host
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        host=host,
        port=port,
        secure=secure,
        authority=quote(shown if port == usual else f"{shown}:{port}", safe="[]:"),
        path=quote((parts.path or "/") + query, safe=_KEPT_IN_URL),
    )


async def resolve(
    target: Target, resolver: Resolver, watch: Stopwatch, timeout_seconds: float
) -> list[Place]:
    """Where the host is. An address needs no resolver, and no time is told then.

    Raises OSError (socket.gaierror) or BlockedError: the resolver hangs since an earlier probe.
    """
    try:
        return _places(target, socket.AI_NUMERICHOST)
    except socket.gaierror:
        watch.enter("dns")
    # Past the probe's deadline, so that the probe and not this says that it is over.
    return await resolver.run(lambda: _places(target, 0), timeout_seconds + _LONGEST_SECONDS)


def _places(target: Target, flags: int) -> list[Place]:
    found = socket.getaddrinfo(
        target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags
    )
    return [(family, address) for family, _, _, _, address in found]


async def connect(places: Sequence[Place], timeout_seconds: float) -> socket.socket:
    """A connection to the first place that takes one; each has an equal share of what time is left.

    Raises OSError, the last place's.
    """
    ends = time.monotonic() + timeout_seconds
    last: OSError = OSError("its name has no address")
    for number, place in enumerate(places):
        share = max(0.0, ends - time.monotonic()) / (len(places) - number)
        try:
            async with asyncio.timeout(share if number < len(places) - 1 else None):
                return await _connect(place)
        except OSError as error:
            last = error
    raise last


async def _connect(place: Place) -> socket.socket:
    family, address = place
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:  # a cancelled one must not stay open either
        connection.close()
        raise
    return connection


async def open_streams(
    connection: socket.socket, target: Target, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams over ``connection``, which is theirs from here on; with a context, after the TLS handshake.

    Raises ssl.SSLError or OSError.
    """
    if context is None:
        return await asyncio.open_connection(sock=connection)
    return await asyncio.open_connection(
        sock=connection,
        ssl=context,
        server_hostname=target.host,
        ssl_handshake_timeout=_LONGEST_SECONDS,
    )


def certificate_expiry(writer: asyncio.StreamWriter) -> float | None:
    """When the server's own certificate ends, as Unix time in seconds; None where there is none to read."""
    tls = writer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    try:
        return not_after(der) if der else None
    except CertificateError:
        return None  # OpenSSL took it: then it is one that has no end in RFC 5280's sense


async def look_at_certificate(places: Sequence[Place], target: Target) -> float | None:
    """The same of a server whose certificate was not accepted: a handshake, and nothing is sent.

    Raises ssl.SSLError or OSError.
    """
    connection = await connect(places, _LONGEST_SECONDS)
    _, writer = await open_streams(connection, target, _accepting_context())
    try:
        return certificate_expiry(writer)
    finally:
        writer.transport.abort()


@lru_cache(maxsize=1)
def default_context() -> ssl.SSLContext:
    """Verifies against the machine's certificates; made once, because reading them takes long."""
    return ssl.create_default_context()


@lru_cache(maxsize=1)
def _accepting_context() -> ssl.SSLContext:
    """Verifies nothing: only for reading when a certificate ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
