"""Ask a URL for its health: one probe, one result, with a deadline."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from target.blocking import BlockedError
from target.dial import (
    PHASES,
    Phase,
    Place,
    Resolver,
    Stopwatch,
    certificate_expiry,
    connect,
    default_context,
    look_at_certificate,
    open_streams,
    resolve,
    target_of,
)
from target.expected_body import holds
from target.http_answer import Answer, BrokenBodyError, NotHttpError

__all__ = ["PHASES", "REASONS", "Phase", "ProbeResult", "new_resolver", "probe"]

USER_AGENT = "sermon-monitor (https://github.com/White-Plains-Gospel-Chapel/sermon-monitor)"
REASONS = ("refused", "timeout", "dns", "tls", "status", "body", "error")
"""Every reason a probe can fail for, and never two at once.

``refused``: no connection, or it ended without a byte of an answer. ``timeout``: the deadline passed.
``dns``: the name leads nowhere. ``tls``: no handshake, or a certificate that does not hold. ``status``:
answered, but not 2xx. ``body``: broke off, wrongly framed, or not what is expected. ``error``: any
other, above all an answer that is not HTTP.
"""
_READ_BYTES = 64 * 1024
_STOPPED: Mapping[Phase | None, str] = {
    "dns": "its name was not resolved",
    "connect": "it did not take the connection",
    "tls": "the TLS handshake did not end",
    "first_byte": "it took the connection and said nothing",
    "body": "its answer did not end",
}
# OpenSSL's X509_V_ERR_* (openssl, doc/man3/X509_STORE_CTX_get_error.pod).
_CERTIFICATE_WORDS = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is self-signed",
    19: "the issuer of its certificate is not known here (self-signed)",
    20: "the issuer of its certificate is not known here",
    21: "the issuer of its certificate is not known here",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}


@dataclass(frozen=True)
class ProbeResult:
    """``reason`` is None when the answer was 2xx in time, else one of REASONS with ``detail`` in words."""

    url: str
    duration_seconds: float
    status: int | None
    reason: str | None
    detail: str
    phases: Mapping[Phase, float] = field(default_factory=dict)
    """Seconds of each phase that was begun; the last is the one in which a failed probe stopped."""
    certificate_expiry: float | None = None
    """Unix time at which the server's own certificate ends, whether it was accepted or not."""

    @property
    def healthy(self) -> bool:
        return self.reason is None


def new_resolver() -> Resolver:
    """For all probes of one target: a name lookup that hangs is not begun a second time beside it."""
    return Resolver("name lookup")


async def probe(
    url: str,
    timeout_seconds: float = 10.0,
    *,
    expected_body: str = "",
    resolver: Resolver | None = None,
    context: ssl.SSLContext | None = None,
) -> ProbeResult:
    """GET ``url`` and read at most 64 KiB of the answer within ``timeout_seconds``. Never raises for an unhealthy target.

    Redirects are not followed, and proxies are not asked. ``expected_body`` as in target/expected_body.py;
    ``context`` is for https (None: the machine's certificates).
    """
    began = time.monotonic()
    one = _Probe(url, timeout_seconds, resolver or new_resolver(), context)
    try:
        async with asyncio.timeout(timeout_seconds):
            await one.ask()
        reason, detail = one.judge(expected_body)
    except (OSError, ValueError, BlockedError) as error:
        reason = _failure(error, one.watch.phase)
        detail = _words(reason, error, one.watch.phase, timeout_seconds)
    one.watch.stop()
    duration = time.monotonic() - began
    if reason == "tls" and one.expiry is None and duration < timeout_seconds:
        with suppress(
            OSError
        ):  # it was refused already: this only says until when it would have held
            async with asyncio.timeout(timeout_seconds - duration):
                await one.look_again()
    return ProbeResult(
        url, duration, one.answer.status, reason, detail, one.watch.phases, one.expiry
    )


class _Probe:
    """What is known so far of one probe."""

    def __init__(
        self, url: str, timeout_seconds: float, resolver: Resolver, context: ssl.SSLContext | None
    ) -> None:
        self.watch = Stopwatch()
        self.answer = Answer()
        self.expiry: float | None = None
        self._url = url
        self._timeout = timeout_seconds
        self._resolver = resolver
        self._context = context
        self._places: list[Place] = []

    async def ask(self) -> None:
        """Raises OSError, ValueError (NotHttpError, BrokenBodyError, a URL that is none) or BlockedError."""
        ends = time.monotonic() + self._timeout
        target = target_of(self._url)
        self._places = await resolve(target, self._resolver, self.watch, self._timeout)
        self.watch.enter("connect")
        connection = await connect(self._places, ends - time.monotonic())
        context = None
        if target.secure:
            self.watch.enter("tls")
            context = self._context or default_context()
        reader, writer = await open_streams(connection, target, context)
        try:
            self.expiry = certificate_expiry(writer)
            self.watch.enter("first_byte")
            writer.write(_request(target.authority, target.path))
            await self._read(reader)
        finally:
            # Not close(): of a peer that does not read or does not answer, it would wait for the end.
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """To the end, or to the limit: a server that sends a head and then stalls has not answered.

        Of what is not 2xx the body is not waited for.
        """
        while not self.answer.done:
            data = await reader.read(_READ_BYTES)
            if self.watch.phase == "first_byte":
                if not data:
                    raise ConnectionError("it ended the connection without an answer")
                self.watch.enter("body")
            try:
                if data:
                    self.answer.feed(data)
                else:
                    self.answer.end()
            except BrokenBodyError:
                if not self._refused():
                    raise
            if self._refused():
                return

    def _refused(self) -> bool:
        return self.answer.status is not None and not 200 <= self.answer.status < 300

    def judge(self, expected_body: str) -> tuple[str | None, str]:
        """The reason and the words of an answer that has come."""
        status = self.answer.status or 0
        detail = f"HTTP {status}{_redirect(status, self.answer.location)}"
        if not 200 <= status < 300:
            return "status", detail
        if not holds(self.answer.body, expected_body):
            return "body", f"{detail}, but its body is not the expected one"
        return None, detail

    async def look_again(self) -> None:
        self.expiry = await look_at_certificate(self._places, target_of(self._url))


def _request(authority: str, path: str) -> bytes:
    # Each probe connects anew: a kept connection says nothing about accepting one.
    return (
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n"
        "Accept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _redirect(status: int, location: str) -> str:
    """Only the host: a path or a query may hold a secret."""
    if not 300 <= status < 400 or not location:
        return ""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = "?"
    if host is None:
        return ", a redirect to another path of its own"
    return f", a redirect to {re.sub(r'[^A-Za-z0-9.:-]', '?', host)[:100]}"


def _failure(error: Exception, phase: Phase | None) -> str:
    """By what was raised, and for an error of the connection by where."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror | BlockedError | UnicodeError):
        return "dns"
    if isinstance(error, ssl.SSLError) or phase == "tls":
        return "tls"
    if isinstance(error, BrokenBodyError):
        return "body"
    if isinstance(error, OSError):
        return "body" if phase == "body" else "refused"
    return "error"


def _words(reason: str, error: Exception, phase: Phase | None, timeout_seconds: float) -> str:
    """What a person reads at night on the card."""
    if reason == "timeout":
        return f"no answer within {timeout_seconds:g} s: {_STOPPED.get(phase, 'it took too long')}"
    if reason == "dns":
        hung = f" ({error})" if isinstance(error, BlockedError) else ""
        return f"its name cannot be resolved{hung}"
    if reason == "tls":
        return _tls_words(error)
    if isinstance(error, NotHttpError | BrokenBodyError):
        return f"{'its body is broken' if reason == 'body' else 'not an HTTP answer'}: {error}"
    # "Connection refused", "No route to host", "Connection reset by peer"
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else str(error)[:200]


def _tls_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_WORDS.get(
            error.verify_code, f"its certificate does not hold: {error.verify_message}"
        )
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
            return "it does not speak TLS"
        if "PROTOCOL" in (error.reason or ""):
            return "it speaks no TLS version that is allowed here"
        return f"the TLS handshake failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return "it ended the connection in the TLS handshake"
