"""The one HTTP helper, against servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
import trustme
from aiohttp import web
from pydantic import SecretStr
from pytest_aiohttp import AiohttpServer

from receiver.http import MAX_ANSWER_BYTES, Http, open_session
from tests.parts.outgoing import refusal, server
from tests.real.processes import free_port


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_session() as session:
        yield Http(session)


async def test_an_endless_answer_is_cut(http: Http, aiohttp_server: AiohttpServer) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None:
            await response.write(b"x" * 65536)
        return response

    url = await server(aiohttp_server, flood)
    answer = await http.request("GET", url, headers={})
    assert (len(answer.body), answer.cut) == (MAX_ANSWER_BYTES, True)
    with pytest.raises(ValueError, match="longer than"):
        answer.json()


async def test_a_silent_server_runs_into_the_deadline(
    http: Http, aiohttp_server: AiohttpServer
) -> None:
    over = asyncio.Event()

    async def silent(_request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    url = await server(aiohttp_server, silent)
    for method, ambiguous in (("POST", True), ("GET", False)):
        error = await refusal(http.request(method, url, headers={}, timeout=0.2))
        assert (error.permanent, error.ambiguous) == (False, ambiguous)
        assert "0.2 s" in error.words
    over.set()


async def test_an_address_that_cannot_be_used_is_final(http: Http) -> None:
    for url in ("http://[::1", "http://", "ftp://127.0.0.1/"):
        error = await refusal(http.request("POST", url, headers={}))
        assert (error.permanent, error.ambiguous) == (True, False), url


async def test_an_unknown_host_is_not_ambiguous(http: Http) -> None:
    error = await refusal(http.request("POST", "http://nowhere.invalid/", headers={}))
    assert (error.permanent, error.ambiguous) == (False, False)


async def test_a_redirect_takes_the_credentials_to_the_same_origin_only(
    http: Http, aiohttp_server: AiohttpServer
) -> None:
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"path": request.path})

    other = await server(aiohttp_server, elsewhere)

    async def moved(request: web.Request) -> web.Response:
        if request.path == "/new":
            return await elsewhere(request)
        target = "/new" if request.path == "/same" else f"{other}/other"
        return web.Response(status=302, headers={"Location": target})

    url = await server(aiohttp_server, moved)
    headers = {"Authorization": SecretStr("Bearer x1y2")}
    for path, expected in (("/same", "/new"), ("/away", "/other")):
        answer = await http.request("GET", url + path, headers=headers, follow=True)
        assert answer.json() == {"path": expected}
    assert seen == ["Bearer x1y2", None]
    assert (await http.request("GET", f"{url}/same", headers=headers)).status == 302
    assert (await http.request("POST", f"{url}/same", headers=headers, follow=True)).status == 302


async def test_why_there_is_no_connection_is_said_in_words(http: Http) -> None:
    name = await refusal(http.request("POST", "https://nobody.invalid/", headers={}))
    assert "the name nobody.invalid cannot be looked up" in name.words
    closed = await refusal(http.request("POST", f"http://127.0.0.1:{free_port()}/", headers={}))
    assert closed.words.endswith("Connection refused")
    assert not name.ambiguous
    assert not closed.ambiguous


@pytest.mark.parametrize(
    ("host", "ends", "said"),
    [
        ("127.0.0.1", "2099-01-01", "the certificate of 127.0.0.1 is not accepted"),
        ("127.0.0.1", "2001-01-01", "is this machine's clock right?"),
        ("localhost", "2099-01-01", "Hostname mismatch"),
    ],
)
async def test_why_a_certificate_is_not_accepted_is_said(host: str, ends: str, said: str) -> None:
    authority = trustme.CA()
    ours = ssl.create_default_context()
    if "not accepted" not in said:
        authority.configure_trust(ours)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    until = datetime.fromisoformat(ends).replace(tzinfo=UTC)
    begins = datetime(1999, 1, 1, tzinfo=UTC)
    authority.issue_cert("127.0.0.1", not_before=begins, not_after=until).configure_cert(theirs)

    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response()

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=theirs).start()
    connector = aiohttp.TCPConnector(ssl=ours, family=socket.AF_INET)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            address = f"https://{host}:{port}/"
            error = await refusal(Http(session).request("POST", address, headers={}))
    finally:
        await runner.cleanup()
    assert said in error.words
    assert not error.ambiguous


async def test_a_server_without_tls_is_said(http: Http) -> None:
    async def shout(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as there:
        port = there.sockets[0].getsockname()[1]
        error = await refusal(http.request("POST", f"https://127.0.0.1:{port}/", headers={}))
    assert "does not speak TLS as we do" in error.words, error.words
