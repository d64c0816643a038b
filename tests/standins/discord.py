"""A stand-in for Discord's webhooks: a real HTTP server with the real paths, limits and refusals.

Sources: discord-api-docs, resources/webhook, resources/message, topics/rate-limits and
topics/opcodes-and-status-codes; reference, "Uploading Files". It speaks JSON bodies and multipart forms;
polls are refused.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import BodyPartReader, web

from tests.standins.discord_files import MOST_UPLOADED, check_attachments
from tests.standins.discord_form import FLAGS_EDITABLE, check_message, is_empty
from tests.standins.discord_limits import Bucket, limited, pings_of
from tests.standins.discord_message import CLOUDFLARE, VIA, Message, RefusalError, Version, Webhook
from tests.standins.discord_problems import Problems
from tests.standins.server import StandIn

DISCORD_EPOCH_MS = 1_420_070_400_000
_API = r"/api{version:(/v\d+)?}/webhooks/{id}/{token}"


class Discord(StandIn):
    """``discord.url`` is a working webhook; what arrived is in ``discord.messages``.

    ``rate_limit``: requests and seconds of each webhook's bucket. ``old_edits_allowed``: edits of
    one message once it is older than an hour (the true figure is not published).
    ``threads``: ids of the threads of the channel.
    """

    def __init__(
        self,
        *,
        rate_limit: tuple[int, float] = (5, 2.0),
        old_edits_allowed: int = 5,
        threads: tuple[str, ...] = (),
        **standin: Any,
    ) -> None:
        super().__init__(**standin)
        self.messages: list[Message] = []
        self.webhooks: dict[str, Webhook] = {}
        self.threads = set(threads)
        self.old_edits_allowed = old_edits_allowed
        self._rate_limit = rate_limit
        self._sequence = itertools.count(1)
        self._hooks: list[Callable[[Message], object]] = []
        self.default = self.add_webhook()

    @property
    def url(self) -> str:
        """The address of the default webhook; known once started."""
        return self.url_of(self.default)

    def url_of(self, webhook: Webhook) -> str:
        return f"{self.base_url}/api/webhooks/{webhook.id}/{webhook.token}"

    def add_webhook(self, name: str = "Sermon Monitor") -> Webhook:
        """One more webhook, in a channel of its own."""
        number = self._snowflake()
        bucket = Bucket(secrets.token_hex(16), *self._rate_limit)
        webhook = Webhook(number, secrets.token_urlsafe(51), self._snowflake(), bucket, name)
        self.webhooks[number] = webhook
        return webhook

    def hook(self, call: Callable[[Message], object]) -> None:
        """Call this with each accepted message, new or edited, before the answer is sent."""
        self._hooks.append(call)

    def fail_next(
        self,
        status: int,
        code: int | None = None,
        *,
        html: bool = False,
        retry_after: float | None = None,
        times: int = 1,
        method: str | None = None,
        files: bool = False,
    ) -> None:
        """Refuse the next ``times`` requests (of ``method``) without doing anything.

        ``files``: only requests that upload some. ``html``: Cloudflare's page in place of JSON, without
        the ``Via`` header. ``retry_after``: seconds; with status 429 the body and headers of a rate limit.
        """
        headers: dict[str, str] = {}
        body: Mapping[str, Any] | str = {"message": f"{status}: scripted", "code": code or 0}
        if status == 429 and not html:
            body, more = limited(retry_after or 1.0)
            headers |= more
        elif retry_after is not None:
            headers["Retry-After"] = str(int(retry_after))
        if html:
            body = CLOUDFLARE
        kind = "multipart/form-data" if files else ""
        self._fail_next(RefusalError(status, body, headers).answer, times, method, kind=kind)

    def application(self) -> web.Application:
        application = web.Application(client_max_size=25 * 1024 * 1024)
        for method, path, handler in (
            ("POST", _API, self._execute),
            ("GET", _API, self._show_webhook),
            ("DELETE", _API, self._delete_webhook),
            ("PATCH", _API + "/messages/{message}", self._edit),
            ("GET", _API + "/messages/{message}", self._show),
            ("DELETE", _API + "/messages/{message}", self._delete),
        ):
            application.router.add_route(method, path, self._guarded(handler))
        application.router.add_route("*", "/{path:.*}", _not_found)
        return application

    def _guarded(
        self, handler: Callable[[web.Request, Webhook], Any]
    ) -> Callable[[web.Request], Any]:
        """Everything that is the same for each route: who calls, which webhook, how often."""

        async def guarded(request: web.Request) -> web.Response:
            try:
                webhook = self._webhook(request)
            except RefusalError as refusal:
                return refusal.answer()
            spent = not webhook.bucket.take(self.clock())
            headers = webhook.bucket.headers(self.clock())
            try:
                answer = self._too_many(webhook) if spent else await handler(request, webhook)
            except RefusalError as refusal:
                answer = refusal.answer()
            answer.headers.update({"Via": VIA, **headers})
            return answer

        return guarded

    def _too_many(self, webhook: Webhook) -> web.Response:
        return RefusalError(429, *limited(webhook.bucket.wait_seconds(self.clock()))).answer()

    def _webhook(self, request: web.Request) -> Webhook:
        if not request.headers.get("User-Agent", "").strip():
            raise RefusalError(403, CLOUDFLARE)
        number = request.match_info["id"]
        if not number.isdigit():
            raise _invalid(request, ("webhook_id",), "NUMBER_TYPE_COERCE", "is not snowflake.")
        webhook = self.webhooks.get(number)
        if webhook is None or webhook.deleted:
            raise RefusalError(404, {"message": "Unknown Webhook", "code": 10015})
        if not secrets.compare_digest(webhook.token, request.match_info["token"]):
            raise RefusalError(401, {"message": "Invalid Webhook Token", "code": 50027})
        return webhook

    async def _execute(self, request: web.Request, webhook: Webhook) -> web.Response:
        body, files = await _body(request)
        thread = request.query.get("thread_id")
        if thread is not None and thread not in self.threads:
            raise RefusalError(404, {"message": "Unknown Channel", "code": 10003})
        if body.get("thread_name"):
            words = "Webhooks can only create threads in forum channels"
            raise RefusalError(400, {"message": words, "code": 220003})
        stored = _checked(request, body)
        uploads = self._uploaded(request, body, files, {})
        if is_empty(stored) and not uploads:
            raise RefusalError(400, {"message": "Cannot send an empty message", "code": 50006})
        message = Message(
            self._snowflake(),
            webhook.id,
            webhook.channel_id,
            thread,
            stored.pop("username", "") or webhook.name,
            self.clock(),
        )
        mentions = pings_of(stored.get("content", ""), body)
        stored["attachments"] = uploads
        message.files |= {one["id"]: one.pop("content") for one in uploads}
        message.versions.append(Version(self.clock(), stored, mentions))
        self.messages.append(message)
        await self._accepted(message)
        if not _flag(request, "wait"):
            return web.Response(status=204)
        return web.json_response(message.as_json())

    async def _edit(self, request: web.Request, webhook: Webhook) -> web.Response:
        message = self._message(request, webhook)
        body, files = await _body(request)
        changes = _checked(request, body)
        there = {one["id"]: one for one in message.attachments}
        if "attachments" in body or files:
            changes["attachments"] = self._uploaded(request, body, files, there)
        changes.pop("username", None)
        if "flags" in changes:
            kept = message.body.get("flags", 0) & ~FLAGS_EDITABLE
            changes["flags"] = kept | (changes["flags"] & FLAGS_EDITABLE)
        stored = {**message.body, **changes}
        if is_empty(stored):
            raise RefusalError(400, {"message": "Cannot send an empty message", "code": 50006})
        self._check_age(message)
        mentions = pings_of(stored.get("content", ""), body)
        for one in stored.get("attachments", ()):
            if "content" in one:
                message.files[one["id"]] = one.pop("content")
        message.versions.append(Version(self.clock(), stored, mentions))
        await self._accepted(message)
        return web.json_response(message.as_json())

    def _uploaded(
        self,
        request: web.Request,
        body: Mapping[str, Any],
        files: Mapping[str, tuple[str, bytes]],
        there: Mapping[str, Mapping[str, Any]],
    ) -> list[dict[str, Any]]:
        """The attachments that the message has from now on: those that ``attachments`` lists, and no others."""
        problems = Problems()
        made = check_attachments(body.get("attachments"), files, there, problems)
        if problems.found:
            raise _refusal(request, problems)
        for one in made:
            if "content" in one:
                one["id"] = self._snowflake()
        return made

    def _check_age(self, message: Message) -> None:
        """A status of 429 whose code says that waiting a little does not help."""
        old = [v for v in message.versions[1:] if v.at - message.created_at > 3600]
        if self.clock() - message.created_at > 3600 and len(old) >= self.old_edits_allowed:
            words = "Maximum number of edits to messages older than 1 hour reached. Try again later"
            raise RefusalError(429, {"message": words, "code": 30046})

    async def _show(self, request: web.Request, webhook: Webhook) -> web.Response:
        return web.json_response(self._message(request, webhook).as_json())

    async def _delete(self, request: web.Request, webhook: Webhook) -> web.Response:
        self._message(request, webhook).deleted = True
        self.changed()
        return web.Response(status=204)

    async def _show_webhook(self, _request: web.Request, webhook: Webhook) -> web.Response:
        return web.json_response(
            {
                "id": webhook.id,
                "type": 1,
                "name": webhook.name,
                "avatar": None,
                "channel_id": webhook.channel_id,
                "guild_id": webhook.channel_id,
                "application_id": None,
                "token": webhook.token,
            }
        )

    async def _delete_webhook(self, _request: web.Request, webhook: Webhook) -> web.Response:
        webhook.deleted = True
        self.changed()
        return web.Response(status=204)

    def _message(self, request: web.Request, webhook: Webhook) -> Message:
        """The message of this webhook, in the thread that the query names."""
        for message in self.messages:
            here = message.thread_id == request.query.get("thread_id")
            known = message.id == request.match_info["message"] and not message.deleted
            if known and here and message.webhook_id == webhook.id:
                return message
        raise RefusalError(404, {"message": "Unknown Message", "code": 10008})

    async def _accepted(self, message: Message) -> None:
        self.changed()
        for hook in self._hooks:
            await self._call(hook, message)

    def _snowflake(self) -> str:
        milliseconds = int(self.clock() * 1000) - DISCORD_EPOCH_MS
        return str((milliseconds << 22) + next(self._sequence) % 4096)


async def _not_found(_request: web.Request) -> web.Response:
    return RefusalError(404, {"message": "404: Not Found", "code": 0}).answer()


async def _body(request: web.Request) -> tuple[dict[str, Any], dict[str, tuple[str, bytes]]]:
    """The message, and what is uploaded beside it: name and content by the part's name."""
    files: dict[str, tuple[str, bytes]] = {}
    text = b""
    if request.content_type == "multipart/form-data":
        text, files = await _form(request)
    elif request.content_type == "application/json":
        text = await request.read()
    else:
        words = "Expected \"Content-Type\" header to be one of {'application/json', 'multipart/form-data'}."
        raise _invalid(request, (), "CONTENT_TYPE_INVALID", words)
    try:
        body = json.loads(text)
    except ValueError:  # neither UTF-8 nor JSON
        words = "The request body contains invalid JSON."
        raise RefusalError(400, {"message": words, "code": 50109}) from None
    if not isinstance(body, dict):
        words = "Only dictionaries may be used in a ModelType"
        raise _invalid(request, (), "MODEL_TYPE_CONVERT", words)
    return body, files


async def _form(request: web.Request) -> tuple[bytes, dict[str, tuple[str, bytes]]]:
    files: dict[str, tuple[str, bytes]] = {}
    text, size = b"{}", 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise RefusalError(400, {"message": "Invalid Form Body", "code": 50035})
        content = bytes(await part.read())
        size += len(content)
        if part.name == "payload_json":
            text = content
        else:
            files[part.name or ""] = (part.filename or "", content)
    if size > MOST_UPLOADED:
        raise RefusalError(413, {"message": "Request entity too large", "code": 40005})
    return text, files


def _checked(request: web.Request, body: Mapping[str, Any]) -> dict[str, Any]:
    """The message to store. Without ``with_components`` components are dropped without a word."""
    problems = Problems()
    if not _flag(request, "with_components"):
        body = {key: value for key, value in body.items() if key != "components"}
    stored = check_message(body, problems)
    if problems.found:
        raise _refusal(request, problems)
    return stored


def _invalid(request: web.Request, path: tuple[str, ...], code: str, words: str) -> RefusalError:
    problems = Problems()
    problems.add(path, code, words)
    return _refusal(request, problems)


def _refusal(request: web.Request, problems: Problems) -> RefusalError:
    if not request.match_info["version"]:
        return RefusalError(400, problems.legacy())
    body = {"message": "Invalid Form Body", "code": 50035, "errors": problems.nested()}
    return RefusalError(400, body)


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")
