"""The stand-in for Discord keeps Discord's rules: each limit, each refusal, and who would be pinged."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.standins.discord import Discord

NOW = 1_790_000_000.0
ODD = {"components": [{"type": 1, "components": [{"type": 2, "style": 5, "label": "Run"}]}]}


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def discord(clock: Clock) -> AsyncIterator[Discord]:
    async with Discord(clock=clock, rate_limit=(1000, 2.0), threads=("77",)) as standin:
        yield standin


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    agent = {"User-Agent": "DiscordBot (https://example.org, 1)"}
    async with aiohttp.ClientSession(headers=agent) as session:
        yield session


def v10(discord: Discord, rest: str = "") -> str:
    return discord.url.replace("/api/", "/api/v10/") + rest


async def post(
    http: aiohttp.ClientSession, discord: Discord, body: object, query: str = "?wait=true"
) -> tuple[int, Any]:
    async with http.post(v10(discord, query), json=body) as answer:
        return answer.status, await answer.json() if answer.content_length else None


def embed(**parts: Any) -> dict[str, Any]:
    return {"embeds": [parts]}


async def test_wait_gives_the_message_and_without_it_nothing(
    discord: Discord, http: aiohttp.ClientSession
) -> None:
    status, message = await post(http, discord, {"content": "hello", **embed(title=" t ")})
    assert status == 200
    assert message["id"].isdigit()
    assert message["channel_id"] == discord.default.channel_id
    assert message["embeds"] == [{"type": "rich", "title": "t"}]
    assert await post(http, discord, {"content": "again"}, "") == (204, None)
    assert [one.content for one in discord.messages] == ["hello", "again"]


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"content": "x" * 2001}, "content", "BASE_TYPE_MAX_LENGTH"),
        ({"content": "😀" * 1001}, "content", "BASE_TYPE_MAX_LENGTH"),
        (embed(title="x" * 257), "embeds.0.title", "BASE_TYPE_MAX_LENGTH"),
        (embed(description="x" * 4097), "embeds.0.description", "BASE_TYPE_MAX_LENGTH"),
        (embed(footer={"text": "x" * 2049}), "embeds.0.footer.text", "BASE_TYPE_MAX_LENGTH"),
        (embed(author={"name": "x" * 257}), "embeds.0.author.name", "BASE_TYPE_MAX_LENGTH"),
        (
            embed(fields=[{"name": "n", "value": "v"}] * 26),
            "embeds.0.fields",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (
            embed(fields=[{"name": " ", "value": "v"}]),
            "embeds.0.fields.0.name",
            "BASE_TYPE_REQUIRED",
        ),
        (
            embed(fields=[{"name": "n", "value": ""}]),
            "embeds.0.fields.0.value",
            "BASE_TYPE_REQUIRED",
        ),
        (
            embed(fields=[{"name": "n" * 257, "value": "v"}]),
            "embeds.0.fields.0.name",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (
            embed(fields=[{"name": "n", "value": "v" * 1025}]),
            "embeds.0.fields.0.value",
            "BASE_TYPE_MAX_LENGTH",
        ),
        ({"embeds": [{"title": "t"}] * 11}, "embeds", "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"description": "x" * 3001}] * 2}, "embeds", "MAX_EMBED_SIZE_EXCEEDED"),
        (embed(title="t", color=16_777_216), "embeds.0.color", "NUMBER_TYPE_MAX"),
        (embed(title="t", color=-1), "embeds.0.color", "NUMBER_TYPE_MIN"),
        (embed(title="t", color="red"), "embeds.0.color", "NUMBER_TYPE_COERCE"),
        (embed(title="t", timestamp="yesterday"), "embeds.0.timestamp", "DATE_TIME_TYPE_PARSE"),
        (embed(title="t", url="ftp://x/"), "embeds.0.url", "URL_TYPE_INVALID_SCHEME"),
        (embed(title="t", url="http://"), "embeds.0.url", "URL_TYPE_INVALID_URL"),
        ({"embeds": ["text"]}, "embeds.0", "MODEL_TYPE_CONVERT"),
        ({"embeds": {"title": "t"}}, "embeds", "LIST_TYPE_CONVERT"),
        ({"content": ["x"]}, "content", "STRING_TYPE_CONVERT"),
        ({"content": "x", "username": "My Discord"}, "username", "USERNAME_INVALID_CONTAINS"),
        (
            {"content": "x", "allowed_mentions": {"parse": ["all"]}},
            "allowed_mentions.parse.0",
            "BASE_TYPE_CHOICES",
        ),
        (
            {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
            "allowed_mentions",
            "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
        ),
        (
            {"content": "x", "allowed_mentions": {"roles": ["1"] * 101}},
            "allowed_mentions.roles",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (ODD, "components.0.components.0.url", "BASE_TYPE_REQUIRED"),
        (
            {"content": "x", "flags": 32768},
            "flags",
            "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
        ),
    ],
)
async def test_a_limit_exceeded_is_50035_with_its_place(
    discord: Discord, http: aiohttp.ClientSession, body: object, path: str, code: str
) -> None:
    status, refusal = await post(http, discord, body, "?wait=true&with_components=true")
    assert (status, refusal["code"]) == (400, 50035)
    node = refusal["errors"]
    for step in path.split("."):
        node = node[step]
    assert code in [error["code"] for error in node["_errors"]]
    assert not discord.messages


@pytest.mark.parametrize(
    "body",
    [
        {"content": " " * 50 + "x" * 2000},
        {"content": "😀" * 1000},
        {"embeds": [{"description": " " + "x" * 3000}] * 2},
        {"embeds": [{"title": "t", "color": 16_777_215, "timestamp": "2026-01-01T00:00:00Z"}] * 10},
        embed(fields=[{"name": "n" * 240, "value": "v"}] * 24),
        {"content": "x", "allowed_mentions": {"parse": [], "users": ["1"], "roles": None}},
    ],
)
async def test_what_is_just_within_the_limits_is_accepted(
    discord: Discord, http: aiohttp.ClientSession, body: object
) -> None:
    assert (await post(http, discord, body))[0] == 200


@pytest.mark.parametrize("body", [{}, {"content": " "}, {"embeds": [{"color": 3}]}, ODD])
async def test_an_empty_message_is_50006(
    discord: Discord, http: aiohttp.ClientSession, body: object
) -> None:
    """Buttons count for nothing while with_components is not set."""
    status, refusal = await post(http, discord, body)
    assert (status, refusal["code"]) == (400, 50006)


async def test_the_unversioned_path_refuses_in_the_old_words(
    discord: Discord, http: aiohttp.ClientSession
) -> None:
    async with http.post(discord.url, json={"embeds": [{"title": "t"}] * 11}) as answer:
        assert answer.status == 400
        assert await answer.json() == {"embeds": ["Must be 10 or fewer in length."]}


async def test_who_calls_and_how_is_checked(discord: Discord, http: aiohttp.ClientSession) -> None:
    async with http.get(v10(discord)) as answer:
        assert (answer.status, (await answer.json())["id"]) == (200, discord.default.id)
    for url, status, code in (
        (v10(discord).replace(discord.default.id, "1"), 404, 10015),
        (v10(discord) + "x", 401, 50027),
        (v10(discord, "/messages/5"), 404, 10008),
        (v10(discord, "?thread_id=5"), 404, 10003),
    ):
        method = "GET" if "messages" in url else "POST"
        async with http.request(method, url, json={"content": "x"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (status, code)
    async with http.post(v10(discord), data="x", headers={"Content-Type": "text/plain"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 50035)
    async with http.post(
        v10(discord), data="{", headers={"Content-Type": "application/json"}
    ) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 50109)
    async with http.post(v10(discord), json={}, headers={"User-Agent": ""}) as answer:
        assert (answer.status, answer.content_type) == (403, "text/html")
        assert "Via" not in answer.headers


async def test_edits_replace_keep_their_history_and_ping_nobody(
    discord: Discord, http: aiohttp.ClientSession
) -> None:
    _, message = await post(http, discord, {"content": "<@1>", **embed(title="a")})
    path = v10(discord, f"/messages/{message['id']}")
    async with http.patch(path, json=embed(title="b")) as answer:
        assert answer.status == 200
        edited = await answer.json()
    assert (edited["content"], edited["embeds"][0]["title"]) == ("<@1>", "b")
    assert edited["edited_timestamp"]
    stored = discord.messages[0]
    assert [v.body["embeds"][0]["title"] for v in stored.versions] == ["a", "b"]
    assert (stored.edits, stored.pings.users) == (1, ("1",))
    async with http.delete(path) as answer:
        assert answer.status == 204
    async with http.patch(path, json={"content": "x"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, 10008)


async def test_a_message_in_a_thread_is_found_only_with_the_thread(
    discord: Discord, http: aiohttp.ClientSession
) -> None:
    _, message = await post(http, discord, {"content": "x"}, "?wait=true&thread_id=77")
    for query, status in (("", 404), ("?thread_id=77", 200)):
        async with http.get(v10(discord, f"/messages/{message['id']}{query}")) as answer:
            assert answer.status == status


async def test_old_messages_take_few_edits(
    discord: Discord, clock: Clock, http: aiohttp.ClientSession
) -> None:
    _, message = await post(http, discord, {"content": "x"})
    clock.now += 3601
    answers = []
    for number in range(6):
        path = v10(discord, f"/messages/{message['id']}")
        async with http.patch(path, json={"content": str(number)}) as answer:
            answers.append((answer.status, (await answer.json()).get("code")))
    assert answers == [(200, None)] * 5 + [(429, 30046)]


@pytest.mark.parametrize(
    ("content", "allowed", "users", "roles", "everyone"),
    [
        ("<@1> <@!2> <@&3> @everyone", None, ("1", "2"), (), False),
        ("<@1> <@&3> @here", {"parse": []}, (), (), False),
        ("<@1> <@&3> <@&4>", {"parse": [], "roles": ["3", "9"]}, (), ("3",), False),
        ("<@&3> @here", {"parse": ["roles", "everyone"]}, (), ("3",), True),
    ],
)
async def test_who_would_be_pinged(
    discord: Discord,
    http: aiohttp.ClientSession,
    content: str,
    allowed: object,
    users: tuple[str, ...],
    roles: tuple[str, ...],
    everyone: bool,
) -> None:
    body = {"content": content, "allowed_mentions": allowed, **embed(title="@everyone <@5>")}
    assert (await post(http, discord, body))[0] == 200
    pings = discord.messages[0].pings
    assert (pings.users, pings.roles, pings.everyone) == (users, roles, everyone)


async def test_the_bucket_of_five_in_two_seconds(clock: Clock, http: aiohttp.ClientSession) -> None:
    async with Discord(clock=clock) as discord:
        for left in (4, 3, 2, 1, 0):
            async with http.post(v10(discord), json={"content": "x"}) as answer:
                assert answer.status == 204
                assert answer.headers["X-RateLimit-Remaining"] == str(left)
                assert answer.headers["X-RateLimit-Reset-After"] == "2.000"
        clock.now += 0.75
        async with http.post(v10(discord), json={"content": "x"}) as answer:
            assert answer.status == 429
            refusal = await answer.json()
            assert (refusal["retry_after"], refusal["global"]) == (1.25, False)
            assert answer.headers["Retry-After"] == "2"
            assert answer.headers["X-RateLimit-Scope"] == "user"
        clock.now += 1.25
        assert (await post(http, discord, {"content": "x"}))[0] == 200
        assert len(discord.messages) == 6


async def test_scripted_trouble(discord: Discord, http: aiohttp.ClientSession) -> None:
    discord.fail_next(502, html=True)
    discord.fail_next(429, retry_after=0.5)
    async with http.post(v10(discord), json={"content": "x"}) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")
    status, refusal = await post(http, discord, {"content": "x"})
    assert (status, refusal["retry_after"]) == (429, 0.5)
    assert not discord.messages
    discord.lose_answer(method="POST")
    with pytest.raises(aiohttp.ClientError):
        await post(http, discord, {"content": "lost"})
    discord.fail_next(413, files=True)
    assert (await post(http, discord, {"content": "no file"}))[0] == 200
    form = aiohttp.MultipartWriter("form-data")
    form.append_json({"content": "a file"}).set_content_disposition(
        "form-data", name="payload_json"
    )
    async with http.post(v10(discord), data=form) as answer:
        assert answer.status == 413
    assert [one.content for one in discord.messages] == ["lost", "no file"]
    discord.stall(60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await post(http, discord, {"content": "late"})
    assert (await post(http, discord, {"content": "after"}))[0] == 200
    assert [seen.status for seen in discord.requests] == [502, 429, 0, 200, 413, 200]


async def test_the_hook_runs_before_the_answer(
    discord: Discord, http: aiohttp.ClientSession
) -> None:
    order: list[str] = []
    discord.hook(lambda message: order.append(message.content))
    await post(http, discord, {"content": "hooked"})
    order.append("answered")
    assert order == ["hooked", "answered"]


def test_a_thread_of_its_own_for_blocking_callers() -> None:
    with Discord.in_thread() as discord:
        request = urllib.request.Request(
            discord.url, b'{"content": "x"}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 204
        discord.until(lambda d: len(d.messages) == 1)
        with pytest.raises(TimeoutError):
            discord.until(lambda d: len(d.messages) == 2, timeout_seconds=0.01)
