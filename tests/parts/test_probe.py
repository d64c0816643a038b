"""Probes of real servers: good ones, broken ones, and hostile ones."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from target.blocking import BlockedError
from target.dial import connect, target_of
from target.probe import PHASES, REASONS, ProbeResult, new_resolver, probe

NOWHERE = "http://127.0.0.1:9"
LONG = 60.0
"""Seconds. Ends a broken run; measures nothing."""
SHORT = 0.5
"""The deadline of a probe that shall end at it."""
OK = b"HTTP/1.1 200 OK\r\n"
SILENCE = 3600.0

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    """A server that does ``talk`` on each connection and then closes it; where: HOST:PORT."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the probe has left, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(*parts: bytes, pause: float = 0.0, then: float = 0.0) -> Talk:
    """Waits for the request, sends the parts with a pause between them, and closes after ``then`` seconds."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        await asyncio.sleep(then)

    return talk


def endlessly(head: bytes, part: bytes, pause: float = 0.0) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def asked(talk: Talk, seconds: float = LONG, expected_body: str = "") -> ProbeResult:
    async with listening(talk) as place:
        return await probe(f"http://{place}/api/health", seconds, expected_body=expected_body)


async def hung(url: str, stopped: str) -> ProbeResult:
    """The probe that ends at its deadline in the phase ``stopped``; a busy machine needs longer to get there."""
    for seconds in (SHORT, 4 * SHORT, 40 * SHORT):
        result = await probe(url, seconds)
        assert one_reason(result) == "timeout"
        assert f"within {seconds:g} s" in result.detail
        assert result.duration_seconds >= seconds
        if list(result.phases)[-1] == stopped:
            break
    assert list(result.phases)[-1] == stopped
    return result


def one_reason(result: ProbeResult) -> str | None:
    """Its reason; and what holds of every result."""
    assert result.reason is None or result.reason in REASONS
    assert result.detail
    reached = [phase for phase in PHASES if phase in result.phases]
    assert list(result.phases) == reached
    assert sum(result.phases.values()) <= result.duration_seconds
    return result.reason


@pytest.mark.parametrize(
    ("talk", "reason", "words"),
    [
        (says(OK + b"Content-Length: 2\r\n\r\nok"), None, "HTTP 200"),
        (says(OK + b"Content-Length: 2\r\n\r\nok", then=SILENCE), None, "HTTP 200"),
        (says(b"HTTP/1.1 204 No Content\r\n\r\n", then=SILENCE), None, "HTTP 204"),
        (says(b"HTTP/1.1 103 Early\r\n\r\n", OK + b"\r\nok", pause=0.01), None, "HTTP 200"),
        (endlessly(OK + b"\r\n", b"x" * 65536), None, "HTTP 200"),
        (says(b"HTTP/1.1 500 x\r\n\r\n"), "status", "HTTP 500"),
        # What is not well need not be heard to its end.
        (says(b"HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\n", then=SILENCE), "status", "503"),
        (says(b"HTTP/1.1 302 x\r\nLocation: /login?t=SECRET\r\n\r\n"), "status", "another path"),
        (says(b"HTTP/1.1 301 x\r\nLocation: https://u:SECRET@else.where/SECRET\r\n\r\n"), "status", "redirect to else.where"),
        (says(b"HTTP/1.1 301 x\r\nLocation: http://[SECRET\r\n\r\n"), "status", "redirect to ?"),
        (says(b"HTTP/1.1 304 x\r\n\r\n"), "status", "HTTP 304"),
        (says(), "refused", "without an answer"),
        (resets, "refused", "reset"),
        (says(b"SSH-2.0-OpenSSH_9.6\r\n", then=SILENCE), "error", "not HTTP"),
        (says(b"HTTP/1.1 2"), "error", "before its head did"),
        (endlessly(OK, b"X-Header: " + b"x" * 1000 + b"\r\n"), "error", "its head is longer"),
        (says(OK + b"X: " + b"x" * 200_000 + b"\r\n\r\nok"), "error", "its head is longer"),
        (says(OK + b"Content-Length: 100\r\n\r\n{"), "body", "broke off"),
        (says(OK + b"Transfer-Encoding: chunked\r\n\r\nhello\n"), "body", "chunk"),
        (endlessly(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000), "body", "framing"),
    ],
)  # fmt: skip
async def test_answers(talk: Talk, reason: str | None, words: str) -> None:
    result = await asked(talk)
    assert one_reason(result) == reason
    assert words in result.detail
    assert "SECRET" not in result.detail


@pytest.mark.parametrize(
    ("talk", "stopped", "words"),
    [
        (says(then=SILENCE), "first_byte", "said nothing"),
        (says(OK, then=SILENCE), "body", "did not end"),
        (says(OK + b"Content-Length: 100\r\n\r\n{", then=SILENCE), "body", "did not end"),
        (endlessly(b"", b"H"), "first_byte", ""),
        (endlessly(OK + b"Content-Length: 99999\r\n\r\n", b"x", pause=0.05), "body", "did not end"),
        (endlessly(OK + b"X: ", b"x", pause=0.05), "body", "did not end"),
    ],
)
async def test_what_hangs_ends_at_the_deadline(talk: Talk, stopped: str, words: str) -> None:
    if not words:  # it says something at once, and it is no HTTP
        assert one_reason(await asked(talk)) == "error"
        return
    async with listening(talk) as place:
        result = await hung(f"http://{place}", stopped)
    assert words in result.detail


@pytest.mark.parametrize("answer", [b"", OK, OK + b"Content-Length: 2\r\n\r\nok"])
async def test_no_connection_is_left_behind(answer: bytes) -> None:
    ended = asyncio.Event()

    async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        while await reader.read(1):
            pass
        ended.set()

    async with listening(listens) as place:
        await probe(f"http://{place}", SHORT)
        async with asyncio.timeout(LONG):
            await ended.wait()


async def test_the_time_of_an_answer_is_told_where_it_was_spent() -> None:
    """A server's pause lies in the phase in which it makes it: it begins after the phase did."""
    delay = 0.2

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(delay)
        writer.write(OK + b"\r\nok")

    result = await asked(slow)
    assert one_reason(result) is None
    assert list(result.phases) == ["connect", "first_byte", "body"]
    assert result.phases["first_byte"] >= delay * 0.99  # the clock of a sleep is coarser


@pytest.mark.parametrize(
    ("answer", "expected", "reason"),
    [
        (b'{"status": "healthy"}', '"status":"healthy"', None),
        (b'{"status": "sick"}', '"status":"healthy"', "body"),
        (b"", '"status":"healthy"', "body"),
        (b"x" * 70_000 + b"healthy", "healthy", "body"),
        (b"a" * 65_536, "a*" * 90 + "b", "body"),
    ],
)
async def test_the_body_that_is_expected(answer: bytes, expected: str, reason: str | None) -> None:
    result = await asked(says(OK + b"\r\n" + answer), expected_body=expected)
    assert one_reason(result) == reason
    assert result.status == 200
    assert answer.decode() == "" or answer.decode() not in result.detail


@pytest.mark.parametrize(
    ("url", "reason", "words"),
    [
        (NOWHERE, "refused", "connection refused"),
        ("http://no-such-host.invalid", "dns", "cannot be resolved"),
        (f"http://{'x' * 70}.invalid", "dns", "cannot be resolved"),
        ("http://127.0.0.1:99999", "error", "port"),
    ],
)
async def test_what_leads_nowhere(url: str, reason: str, words: str) -> None:
    result = await probe(url, LONG)
    assert one_reason(result) == reason
    assert words in result.detail.lower()
    assert (result.status, result.certificate_expiry) == (None, None)


async def test_a_name_is_looked_up_and_that_time_is_told() -> None:
    async with listening(says(OK + b"\r\n")) as place:
        result = await probe(f"http://localhost:{place.rpartition(':')[2]}", LONG)
    assert one_reason(result) is None
    assert list(result.phases) == ["dns", "connect", "first_byte", "body"]


async def test_one_that_takes_no_connection() -> None:
    """A full backlog: the kernel lets the next connection wait."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        result = await probe("http://{}:{}".format(*full.getsockname()), SHORT)
        for one in waiting:
            one.close()
    assert one_reason(result) == "timeout"
    assert list(result.phases) == ["connect"]
    assert "did not take the connection" in result.detail


async def test_a_place_that_hangs_does_not_take_the_time_of_the_next() -> None:
    """As of a name with an IPv6 address that leads nowhere."""
    async with listening(says(OK + b"\r\n")) as place:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = [socket.socket() for _ in range(8)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            open_ = ("127.0.0.1", int(place.rpartition(":")[2]))
            family = socket.AF_INET
            taken = await connect([(family, full.getsockname()), (family, open_)], SHORT * 2)
            assert taken.getpeername() == open_
            for one in (*waiting, taken):
                one.close()


async def test_a_name_lookup_that_hangs_is_not_begun_again() -> None:
    resolver, gate = new_resolver(), threading.Event()

    def hang() -> list[object]:
        gate.wait(LONG)
        return []

    with pytest.raises(BlockedError):
        await resolver.run(hang, 0.01)  # type: ignore[arg-type]
    for _ in range(20):
        result = await probe("http://some.name.invalid", LONG, resolver=resolver)
        assert one_reason(result) == "dns"
        assert "no answer for" in result.detail
    assert len([one for one in threading.enumerate() if one.name == resolver.what]) == 1
    gate.set()


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "path"),
    [
        ("http://pi", "pi", 80, "pi", "/"),
        ("http://pi:8000/api/health", "pi", 8000, "pi:8000", "/api/health"),
        ("https://pi:443/x?y=1&z#part", "pi", 443, "pi", "/x?y=1&z"),
        ("http://[::1]:9000/a%20b", "::1", 9000, "[::1]:9000", "/a%20b"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/"),
    ],
)
def test_the_parts_of_a_url(url: str, host: str, port: int, authority: str, path: str) -> None:
    found = target_of(url)
    assert (found.host, found.port, found.authority, found.path) == (host, port, authority, path)


async def test_the_request_that_is_sent() -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await got.put(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"\r\n")

    async with listening(note) as place:
        await probe(f"http://{place}/a b\x01\u00fc?q=\r\nX: y", LONG)
    lines = (await got.get()).decode("ascii").split("\r\n")
    assert lines[0] == "GET /a%20b%01%C3%BC?q=X:%20y HTTP/1.1"
    assert lines[1] == f"Host: {place}"
    assert "Connection: close" in lines
