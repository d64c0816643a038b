"""Probes of real TLS servers: certificates that hold, that do not, and what speaks no TLS at all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from target.dial import default_context
from target.probe import ProbeResult, probe
from tests.parts.test_probe import LONG, OK, SILENCE, Talk, hung, listening, one_reason, says

AUTHORITY = trustme.CA()
NOW = datetime.now(UTC).replace(microsecond=0)
NEXT_YEAR = NOW + timedelta(days=365)
LAST_YEAR = NOW - timedelta(days=365)
ANSWER = says(OK + b"Content-Length: 2\r\n\r\nok")


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed(directory: Path) -> ssl.SSLContext:
    """An authority's own certificate, used as a server's."""
    own, both = trustme.CA(), directory / "both.pem"
    both.write_bytes(own.private_key_pem.bytes() + own.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


@asynccontextmanager
async def secure(talk: Talk, context: ssl.SSLContext) -> AsyncIterator[str]:
    """As ``listening``, after a TLS handshake."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.start_tls(context)
        except OSError:  # the probe does not like the certificate
            return
        await talk(reader, writer)

    async with listening(serve) as place:
        yield f"https://{place}"


async def asked(certificate: trustme.LeafCert, name: str = "127.0.0.1") -> ProbeResult:
    async with secure(ANSWER, server_context(certificate)) as url:
        return await probe(url.replace("127.0.0.1", name), LONG, context=trusting())


async def test_one_that_holds() -> None:
    result = await asked(AUTHORITY.issue_cert("127.0.0.1", not_after=NEXT_YEAR))
    assert one_reason(result) is None
    assert list(result.phases) == ["connect", "tls", "first_byte", "body"]
    assert result.certificate_expiry == NEXT_YEAR.timestamp()


async def test_by_its_name() -> None:
    result = await asked(AUTHORITY.issue_cert("localhost"), "localhost")
    assert one_reason(result) is None
    assert list(result.phases) == ["dns", "connect", "tls", "first_byte", "body"]


@pytest.mark.parametrize(
    ("name", "ends", "words"),
    [
        ("127.0.0.1", LAST_YEAR, "has expired"),
        ("else.where", NEXT_YEAR, "for another address"),
    ],
)
async def test_one_that_does_not(name: str, ends: datetime, words: str) -> None:
    result = await asked(AUTHORITY.issue_cert(name, not_after=ends))
    assert one_reason(result) == "tls"
    assert words in result.detail
    assert result.certificate_expiry == ends.timestamp()
    assert result.status is None
    assert list(result.phases) == ["connect", "tls"]


async def test_one_for_another_host_name() -> None:
    result = await asked(AUTHORITY.issue_cert("else.where"), "localhost")
    assert one_reason(result) == "tls"
    assert "for another host name" in result.detail


async def test_an_issuer_that_nobody_knows() -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1", not_after=NEXT_YEAR)
    result = await asked(certificate)
    assert one_reason(result) == "tls"
    assert "issuer of its certificate is not known" in result.detail
    assert result.certificate_expiry == NEXT_YEAR.timestamp()


async def test_an_authority_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As docs/settings.md says: SSL_CERT_FILE names it."""
    own = tmp_path / "ca.pem"
    own.write_bytes(AUTHORITY.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    default_context.cache_clear()
    try:
        async with secure(ANSWER, server_context(AUTHORITY.issue_cert("127.0.0.1"))) as url:
            assert one_reason(await probe(url, LONG)) is None
    finally:
        default_context.cache_clear()


async def test_a_self_signed_one(tmp_path: Path) -> None:
    async with secure(ANSWER, self_signed(tmp_path)) as url:
        result = await probe(url, LONG)
    assert one_reason(result) == "tls"
    assert "self-signed" in result.detail
    assert result.certificate_expiry is not None


ALERT_VERSION = b"\x15\x03\x01\x00\x02\x02\x46"
"""A fatal alert, protocol_version: what a server says that speaks only what is too old."""


async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> None:
    await reader.read(65536)
    writer.write(said)
    await writer.drain()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (ALERT_VERSION, "no TLS version that is allowed"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
        (b"\x00" * 1000, "handshake"),
        (b"", "in the TLS handshake"),
    ],
)
async def test_what_speaks_no_tls_of_ours(said: bytes, words: str) -> None:
    async with listening(lambda reader, writer: hears(reader, writer, said)) as place:
        result = await probe(f"https://{place}", LONG)
    assert one_reason(result) == "tls"
    assert words in result.detail or "TLS" in result.detail
    assert (result.certificate_expiry, list(result.phases)) == (None, ["connect", "tls"])


async def test_a_handshake_that_hangs() -> None:
    async with listening(lambda _reader, _writer: asyncio.sleep(SILENCE)) as place:
        result = await hung(f"https://{place}", "tls")
    assert list(result.phases) == ["connect", "tls"]
    assert "the TLS handshake did not end" in result.detail


async def test_the_time_of_a_slow_handshake_is_its_own() -> None:
    """The server hears the client's first word, and so after the phase began, and then thinks."""
    delay = 0.2
    context = server_context(AUTHORITY.issue_cert("127.0.0.1"))

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(65536)
        await asyncio.sleep(delay)
        there, back = await asyncio.open_connection(*place.split(":"))
        back.write(first)
        try:
            await asyncio.gather(copy(reader, back), copy(there, writer))
        finally:
            back.close()

    async with secure(ANSWER, context) as url, listening(relay) as before:
        place = url.removeprefix("https://")
        result = await probe(f"https://{before}", LONG, context=trusting())
    assert one_reason(result) is None
    assert result.phases["tls"] >= delay * 0.99  # the clock of a sleep is coarser


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
