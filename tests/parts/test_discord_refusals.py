"""What Discord, and what stands before it, refuses: for good, for now, or so that nobody knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer
from structlog.testing import capture_logs

from receiver.http import Http, open_session
from receiver.records import Ring
from receiver.telling.delivery import DeliveryError
from tests.parts.discord_client import OVER, TOKEN, VIEW, WEBHOOK, discord
from tests.parts.outgoing import Time, answering, everything, refusal, server, unused_address
from tests.standins.discord import Discord as StandIn


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_session() as session:
        yield Http(session)


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        yield running


@pytest.mark.parametrize("code", [50035, 50006, None])
async def test_a_refused_card_goes_once_more_as_plain_as_can_be(
    http: Http, standin: StandIn, code: int | None
) -> None:
    standin.fail_next(400, code)
    with capture_logs() as logs:
        await discord(http, standin.url).send(VIEW, None, ring=Ring.MENTION)
    (message,) = standin.messages
    assert message.embeds[0]["title"] == "Incident 12"
    assert message.pings.roles == ("4242",)
    assert [entry["event"] for entry in logs] == ["card_refused"]


async def test_a_card_refused_twice_is_given_up(http: Http, standin: StandIn) -> None:
    standin.fail_next(400, 50035, times=2)
    notifier = discord(http, standin.url)
    error = await refusal(notifier.send(VIEW, None, ring=Ring.MENTION))
    assert (error.permanent, error.ambiguous, error.code) == (True, False, 50035)
    assert await notifier.send(VIEW, None, ring=Ring.MENTION)


async def test_a_forum_is_named(http: Http, standin: StandIn) -> None:
    standin.fail_next(400, 220001)
    error = await refusal(discord(http, standin.url).send(VIEW, None, ring=Ring.MENTION))
    assert error.permanent
    assert "thread_id" in error.words
    assert len(standin.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "known"),
    [(401, 50027, 50027), (404, 10015, 10015), (404, None, 404), (401, None, 401)],
)
async def test_a_webhook_that_is_gone_is_never_asked_again(
    http: Http, standin: StandIn, status: int, code: int | None, known: int
) -> None:
    standin.fail_next(status, code)
    notifier = discord(http, standin.url)
    for _ in range(3):
        error = await refusal(notifier.send(VIEW, None, ring=Ring.MENTION))
        assert (error.permanent, error.code) == (True, known)
        assert "DISCORD_WEBHOOK_URL" in error.words
    assert len(standin.requests) == 1


async def test_missing_rights_concern_one_message(http: Http, standin: StandIn) -> None:
    standin.fail_next(403, 50013)
    notifier = discord(http, standin.url)
    error = await refusal(notifier.send(VIEW, None, ring=Ring.MENTION))
    assert (error.permanent, error.code) == (True, 50013)
    assert await notifier.send(VIEW, None, ring=Ring.MENTION)


@pytest.mark.parametrize("answer", [{"html": True}, {"code": 40333}])
async def test_cloudflare_is_left_alone_for_minutes(
    http: Http, standin: StandIn, answer: dict[str, Any]
) -> None:
    standin.fail_next(403, **answer)
    time = Time()
    notifier = discord(http, standin.url, time)
    error = await refusal(notifier.send(VIEW, None, ring=Ring.MENTION))
    assert not error.permanent
    assert error.retry_after == 300
    time.now += 290
    assert (await refusal(notifier.send(VIEW, None, ring=Ring.MENTION))).retry_after == 10
    assert len(standin.requests) == 1
    time.now += 10
    assert await notifier.send(VIEW, None, ring=Ring.MENTION)


async def test_a_rate_limit_says_when_to_come_again(http: Http, standin: StandIn) -> None:
    standin.fail_next(429, retry_after=40.5)
    time = Time()
    notifier = discord(http, standin.url, time)
    error = await refusal(notifier.send(VIEW, None, ring=Ring.MENTION))
    assert (error.permanent, error.ambiguous, error.retry_after) == (False, False, 41)
    error = await refusal(notifier.send(VIEW, None, ring=Ring.MENTION))
    assert error.retry_after == 41
    assert len(standin.requests) == 1
    time.now += 41
    assert await notifier.send(VIEW, None, ring=Ring.MENTION)


async def test_a_spent_bucket_is_waited_out_before_sending(http: Http) -> None:
    async with StandIn(rate_limit=(2, 3.0), clock=(time := Time())) as standin:
        notifier = discord(http, standin.url, time)
        for _ in range(5):
            await notifier.send(VIEW, None, ring=Ring.SILENT)
        assert [seen.status for seen in standin.requests] == [200] * 5
        assert time.slept == [3.0, 3.0]


@pytest.mark.parametrize(("method", "ambiguous"), [("POST", True), ("PATCH", False)])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_leaves_doubt_about_a_new_card_only(
    http: Http, standin: StandIn, status: int, method: str, ambiguous: bool
) -> None:
    notifier = discord(http, standin.url)
    first = await notifier.send(VIEW, None, ring=Ring.MENTION) if method == "PATCH" else None
    standin.fail_next(status, method=method)
    error = await refusal(notifier.send(OVER, first, ring=Ring.SILENT))
    assert (error.permanent, error.ambiguous, error.code) == (False, ambiguous, status)


async def test_a_lost_answer_is_ambiguous(http: Http, standin: StandIn) -> None:
    standin.lose_answer()
    error = await refusal(discord(http, standin.url).send(VIEW, None, ring=Ring.MENTION))
    assert (error.permanent, error.ambiguous) == (False, True)
    assert len(standin.messages) == 1


async def test_nobody_listening_is_not_ambiguous(http: Http) -> None:
    error = await refusal(
        discord(http, unused_address() + WEBHOOK).send(VIEW, None, ring=Ring.MENTION)
    )
    assert (error.permanent, error.ambiguous) == (False, False)


@pytest.mark.parametrize(
    ("text", "headers", "wait"),
    [
        ("slow down", {"Retry_After": "7"}, 7),
        ('{"retry_after": 9.5}', {"Retry_After": "7"}, 9.5),
        (
            '{"retry_after": 1}',
            {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset_After": "12.25"},
            12.25,
        ),
        ('{"retry_after": "soon"}', {"Retry_After": "Thu"}, 1),
        ('{"retry_after": -5}', {}, 1),
        ('{"retry_after": 1e999}', {"Retry_After": "nan"}, 1),
        ("[]", {"Retry_After": "999999"}, 86400),
    ],
)
async def test_a_429_in_every_dress(
    http: Http, aiohttp_server: AiohttpServer, text: str, headers: dict[str, str], wait: float
) -> None:
    url = await server(aiohttp_server, answering(429, text, **headers))
    error = await refusal(discord(http, url + WEBHOOK).send(VIEW, None, ring=Ring.MENTION))
    assert (error.permanent, error.retry_after) == (False, wait)


@pytest.mark.parametrize("text", ["", "<html>", "{}", '{"id": 5}', "[" * 100_000])
async def test_success_without_an_id_is_ambiguous(
    http: Http, aiohttp_server: AiohttpServer, text: str
) -> None:
    url = await server(aiohttp_server, answering(200, text))
    error = await refusal(discord(http, url + WEBHOOK).send(VIEW, None, ring=Ring.MENTION))
    assert (error.permanent, error.ambiguous) == (False, True)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 405, 413])
async def test_redirects_are_not_followed_and_other_refusals_are_final(
    http: Http, aiohttp_server: AiohttpServer, status: int
) -> None:
    url = await server(aiohttp_server, answering(status, "no", Location="http://192.0.2.1/"))
    error = await refusal(discord(http, url + WEBHOOK).send(VIEW, None, ring=Ring.MENTION))
    assert (error.permanent, error.code) == (True, status)


async def test_no_text_ever_holds_the_token(http: Http, aiohttp_server: AiohttpServer) -> None:
    """Whatever goes wrong: exceptions with all they hang on, frames with their locals, logs."""

    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    texts: list[str] = []
    urls = [unused_address(), await server(aiohttp_server, cut)]
    for status in (200, 302, 400, 401, 403, 404, 418, 429, 500):

        async def answer(request: web.Request, status: int = status) -> web.Response:
            text = f'{{"code": 1, "message": "no: {request.url}"}}'
            return web.Response(status=status, text=text, headers={"Location": str(request.url)})

        urls.append(await server(aiohttp_server, answer))
    with capture_logs() as logs:
        for url in urls:
            notifier = discord(http, url + WEBHOOK)
            for message_id in (None, "5"):
                try:
                    await notifier.send(VIEW, message_id, ring=Ring.MENTION)
                except DeliveryError as error:
                    texts += everything(error)
                texts.append(repr(vars(notifier)))
    texts.append(repr(logs))
    assert len(texts) > 2 * len(urls)
    assert not [text for text in texts if TOKEN in text]
