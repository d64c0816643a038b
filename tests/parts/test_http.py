"""The one HTTP helper, against servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import SecretStr
from pytest_aiohttp import AiohttpServer

from receiver.http import MAX_ANSWER_BYTES, Http, open_session
from tests.parts.outgoing import refusal, server


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
