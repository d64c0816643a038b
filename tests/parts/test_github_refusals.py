"""What GitHub refuses, and how: for good, for now, or so that nobody knows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from email.utils import format_datetime

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer
from structlog.testing import capture_logs

from receiver.http import Http, open_session
from receiver.telling.delivery import DeliveryError
from tests.parts.github_client import INPUTS, NOW, WORKFLOW, at, github
from tests.parts.outgoing import Time, everything, refusal
from tests.standins.github import GitHub as StandIn
from tests.standins.github import Script


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_session() as session:
        yield Http(session)


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn([WORKFLOW], plan=Script(by_hand=True)) as running:
        yield running


async def test_another_400_is_not_tried_with_another_version(http: Http, standin: StandIn) -> None:
    standin.fail_next(400, body={"message": "Problems parsing JSON"})
    error = await refusal(github(http, standin).dispatch(INPUTS))
    assert (error.permanent, error.ambiguous, error.code) == (True, False, 400)
    assert len(standin.requests) == 1


@pytest.mark.parametrize(
    ("changes", "inputs", "status", "words"),
    [
        ({"repo": "someone/else"}, INPUTS, 404, "GITHUB_REPO"),
        ({"workflow": "none.yml"}, INPUTS, 404, "ROLLBACK_WORKFLOW"),
        ({"ref": "gone"}, INPUTS, 422, "No ref found for: gone"),
        ({}, {**INPUTS, "colour": "red"}, 422, "Unexpected inputs provided"),
        ({"token": "github_pat_wrong"}, INPUTS, 401, "Bad credentials"),
    ],
)
async def test_what_can_never_work_is_permanent(
    http: Http,
    standin: StandIn,
    changes: dict[str, str],
    inputs: dict[str, str],
    status: int,
    words: str,
) -> None:
    error = await refusal(github(http, standin, None, **changes).dispatch(inputs))
    assert (error.permanent, error.ambiguous, error.code) == (True, False, status)
    assert words in error.words


async def test_a_missing_permission_is_named(http: Http, standin: StandIn) -> None:
    standin.permissions["actions"] = "read"
    error = await refusal(github(http, standin).dispatch(INPUTS))
    assert (error.permanent, error.retry_after) == (True, None)
    assert "actions=write" in error.words


async def test_bad_credentials_are_not_shown_again_for_a_while(
    http: Http, standin: StandIn
) -> None:
    time = Time()
    hub = github(http, standin, time, token="github_pat_wrong")
    for _ in range(3):
        assert (await refusal(hub.workflow_state())).code == 401
    assert len(standin.requests) == 1
    time.now += 600
    await refusal(hub.workflow_state())
    assert len(standin.requests) == 2


async def test_too_many_inputs_are_not_sent(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    for inputs in ({str(n): "x" for n in range(26)}, {"reason": "x" * 65_536}):
        assert (await refusal(hub.dispatch(inputs))).permanent
    assert standin.requests == []


@pytest.mark.parametrize("status", [403, 429])
async def test_a_secondary_limit_is_waited_out_in_silence(
    http: Http, standin: StandIn, status: int
) -> None:
    time = Time()
    hub = github(http, standin, time)
    standin.limit_secondary(90, status=status)
    error = await refusal(hub.dispatch(INPUTS))
    assert (error.permanent, error.ambiguous, error.retry_after) == (False, False, 90)
    time.now += 60
    error = await refusal(hub.dispatch(INPUTS))
    assert (error.ambiguous, error.retry_after) == (False, 30)
    assert len(standin.requests) == 1
    time.now += 30
    assert (await hub.dispatch(INPUTS)).run_id == standin.dispatches[0].run.id


async def test_the_primary_limit_is_waited_out(http: Http) -> None:
    async with StandIn([WORKFLOW], rate_limit=1) as standin:
        hub = github(http, standin)
        assert await hub.workflow_state() == "active"
        error = await refusal(hub.workflow_state())
        assert error.retry_after is not None
        assert 3000 < error.retry_after <= 3600


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "@120"}, "", 120),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "@-5"}, "", 1),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "@999999"}, "", 3600),
        (403, {"X-RateLimit-Remaining": "0"}, "", 60),
        (403, {}, "You have exceeded a secondary rate limit", 60),
        (403, {"Retry-After": "nan"}, "API rate limit exceeded", 60),
        (429, {}, "", 60),
    ],
)
async def test_rate_limits_in_every_dress(
    http: Http,
    aiohttp_server: AiohttpServer,
    status: int,
    headers: dict[str, str],
    message: str,
    wait: float,
) -> None:
    dated = {"Date": format_datetime(NOW, usegmt=True)}  # a server's clock far from ours
    for name, value in headers.items():
        dated[name] = str(int(NOW.timestamp()) + int(value[1:])) if value[0] == "@" else value

    async def limited(_request: web.Request) -> web.Response:
        return web.json_response({"message": message}, status=status, headers=dated)

    error = await refusal((await at(http, aiohttp_server, limited)).dispatch(INPUTS))
    assert (error.permanent, error.ambiguous, error.retry_after) == (False, False, wait)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_leaves_doubt(http: Http, standin: StandIn, status: int) -> None:
    standin.fail_next(status, body="<html>unicorn</html>")
    error = await refusal(github(http, standin).dispatch(INPUTS))
    assert (error.permanent, error.ambiguous, error.code) == (False, True, status)
    standin.fail_next(status, body="<html>unicorn</html>")
    assert not (await refusal(github(http, standin).workflow_state())).ambiguous


@pytest.mark.parametrize(
    "text", ["<html>log in to the church's wifi</html>", "{}", '{"workflow_run_id": "x"}', "[]"]
)
async def test_success_in_broken_json_leaves_doubt(
    http: Http, aiohttp_server: AiohttpServer, text: str
) -> None:
    async def portal(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    hub = await at(http, aiohttp_server, portal)
    error = await refusal(hub.dispatch(INPUTS))
    assert (error.permanent, error.ambiguous) == (False, True)
    for call in (
        hub.run(1),
        hub.workflow_state(),
        hub.find_run("sm-1-aa", NOW),
        hub.runners(),
        hub.workflow_state(),
        hub.unfinished_runs("rollback.yml"),
    ):
        error = await refusal(call)
        assert (error.permanent, error.ambiguous) == (False, False)


TOKEN = "github_pat_S3cret0123456789"


async def test_no_text_ever_holds_the_token(http: Http, aiohttp_server: AiohttpServer) -> None:
    texts: list[str] = []
    with capture_logs() as logs:
        for status in (200, 204, 302, 400, 401, 403, 404, 422, 429, 500, 0):

            async def echo(request: web.Request, status: int = status) -> web.Response:
                if not status and request.transport is not None:
                    request.transport.abort()
                body = json.dumps({"message": f"version? {request.headers['Authorization']}"})
                location = {"Location": f"/{TOKEN}"}
                return web.Response(status=status or 200, text=body, headers=location)

            hub = await at(http, aiohttp_server, echo, TOKEN)
            for call in (hub.dispatch(INPUTS), hub.run(1), hub.find_run("x", NOW)):
                try:
                    texts.append(repr(await call))
                except DeliveryError as error:
                    texts += everything(error)
            texts += [repr(vars(hub)), repr(vars(hub._api))]
    texts.append(repr(logs))
    assert len(texts) > 60
    assert not [text for text in texts if TOKEN in text]
