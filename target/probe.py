"""Ask a URL for its health: one probe, one result, with a deadline."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from dataclasses import dataclass

import aiohttp

USER_AGENT = "sermon-monitor (https://github.com/White-Plains-Gospel-Chapel/sermon-monitor)"
MAX_BODY_BYTES = 64 * 1024
REASONS = ("refused", "timeout", "dns", "tls", "status", "body", "error")
"""Every reason a probe can fail for, in the order of the request's life; ``error`` is none of the others."""


@dataclass(frozen=True)
class ProbeResult:
    """``reason`` is None when the answer was 2xx in time, else one of REASONS with ``detail`` in words."""

    url: str
    duration_seconds: float
    status: int | None
    reason: str | None
    detail: str

    @property
    def healthy(self) -> bool:
        return self.reason is None


async def probe(
    session: aiohttp.ClientSession, url: str, timeout_seconds: float = 10.0
) -> ProbeResult:
    """GET ``url`` and read at most 64 KiB of the answer within ``timeout_seconds``. Never raises for an unhealthy target."""
    began = time.monotonic()
    status: int | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            async with session.get(
                url, allow_redirects=False, headers={"User-Agent": USER_AGENT}
            ) as answer:
                status = answer.status
                await _read_body(answer.content)
        reason = None if 200 <= status < 300 else "status"
        detail = f"HTTP {status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        reason = _failure(error)
        detail = _words(reason, error, timeout_seconds)
    return ProbeResult(url, time.monotonic() - began, status, reason, detail)


async def _read_body(content: aiohttp.StreamReader) -> None:
    """A server that sends a head and then stalls has not answered: read on to the end, or to the limit."""
    left = MAX_BODY_BYTES
    while left > 0 and (chunk := await content.read(left)):
        left -= len(chunk)


def _failure(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "dns"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionError):
        return "refused"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "body"
    return "error"


def _words(reason: str, error: BaseException, timeout_seconds: float) -> str:
    """What a person reads at night on the card."""
    if reason == "timeout":
        return f"no answer within {timeout_seconds:g} s"
    if reason == "dns":
        return "its name cannot be resolved"
    if reason == "refused":
        # "Connection refused", "No route to host", "Connection reset by peer"
        number = getattr(error, "errno", None)
        return os.strerror(number).lower() if number else "the connection failed"
    return f"{type(error).__name__}: {error}"[:200]
