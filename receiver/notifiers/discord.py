"""The incident card on Discord: one message a card, created once and edited in place.

Facts about the API are from discord/discord-api-docs: developers/resources/webhook.mdx and
message.mdx, developers/topics/rate-limits.mdx and opcodes-and-status-codes.mdx.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import structlog
from pydantic import SecretStr

from receiver.http import Answer, Http
from receiver.notifiers.buttons import components, reachable, secrets_in
from receiver.notifiers.discord_answers import (
    FORUM,
    TOO_OLD_TO_EDIT,
    UNKNOWN_MESSAGE,
    attached,
    created,
    trouble_of,
    verdict,
)
from receiver.notifiers.limiter import Limiter
from receiver.records import Ring
from receiver.telling.card import CALL_FIELD, Card, IncidentView, at_work, compose
from receiver.telling.delivery import DeliveryError, File
from receiver.telling.markdown import safe_url
from receiver.telling.note import Note, cut
from receiver.webhook_url import validate_webhook_url

USER_AGENT: Final = (
    "DiscordBot (https://github.com/White-Plains-Gospel-Chapel/sermon-monitor, "
    f"{version('sermon-monitor')})"
)
COLOURS: Final = {"critical": 0xE01E5A, "warning": 0xECB22E, "info": 0x8D99A6}
RESOLVED: Final = 0x2EB67D
AT_WORK: Final = 0x3B82F6
MOST_CONTENT: Final = 1900  # under Discord's 2000
SILENT: Final = 1 << 12  # SUPPRESS_NOTIFICATIONS: no push for what needs nobody now

_COMPONENTS = "with_components=true"  # without it Discord drops buttons in silence


def render(view: IncidentView, *, mention: str, ring: Ring) -> dict[str, Any]:
    """The body that creates or edits the card; every limit of an embed holds, whatever ``view`` says.

    ``mention``: ``<@&ROLE>``, ``<@USER>``, ``@here`` or "". What rings has ``content``, which a
    telephone shows on its lock screen; that one mention rings with ``Ring.MENTION`` alone.
    """
    card = compose(view)
    embed: dict[str, Any] = {
        "title": card.title,
        "description": card.description,
        "color": _colour(view),
        "fields": [{"name": name, "value": value, "inline": False} for name, value in card.fields],
        "footer": {"text": card.footer},
        "timestamp": (view.resolved_at or view.opened_at).isoformat(),
    }
    link = safe_url(view.public_url)
    if reachable(link):
        embed["url"] = link  # Discord refuses a whole message for a URL it finds not well formed
    return _body(card, embed, mention=mention, ring=ring)


def render_note(note: Note, *, mention: str) -> dict[str, Any]:
    """The body that posts a note; ``mention`` rings, "" does not."""
    allowed = _allowed(mention)
    if note.short:
        words = f"{mention} **{note.title}**\n{note.text}".strip()
        return {"content": cut(words, MOST_CONTENT), "allowed_mentions": allowed}
    embed: dict[str, Any] = {
        "title": note.title,
        "description": note.text,
        "color": COLOURS[note.severity] if note.severity else RESOLVED,
        "fields": [{**field.model_dump(), "inline": False} for field in note.shown_fields],
    }
    body: dict[str, Any] = {"embeds": [embed], "allowed_mentions": allowed}
    if mention:
        body["content"] = mention
    return body


def _minimal(view: IncidentView, *, mention: str, ring: Ring) -> dict[str, Any]:
    """The same incident as plainly as can be, for when Discord refused the card."""
    card = compose(view)
    text = f"{card.description[:400]}\n(The full card was refused by Discord.)"
    embed = {"title": f"Incident {view.id}", "description": text, "color": _colour(view)}
    return _body(card, embed, mention=mention, ring=ring)


def _body(card: Card, embed: Mapping[str, Any], *, mention: str, ring: Ring) -> dict[str, Any]:
    mention = _heard(mention, ring)
    body: dict[str, Any] = {
        "embeds": [embed],
        "allowed_mentions": _allowed(mention),
    }
    if ring:
        body["content"] = f"{mention} {card.call}".strip()
    return body


def _heard(mention: str, ring: Ring) -> str:
    return mention if ring is Ring.MENTION else ""


def _quiet(body: dict[str, Any], view: IncidentView, message_id: str | None) -> dict[str, Any]:
    """An edit keeps the text that rang true to the card and the files, and may ring nobody itself."""
    if message_id is None:
        return body
    kept = [{"id": file} for message, file in view.attachments if message == message_id]
    files = {"attachments": kept} if kept else {}
    return {**body, **files, "allowed_mentions": _allowed("")}


def _allowed(mention: str) -> dict[str, Any]:
    """Without this field Discord would let every user mention in the text ring."""
    if mention == "@here":
        return {"parse": ["everyone"]}  # Discord's name for @here and @everyone
    match = re.fullmatch(r"<@([&!]?)(\d+)>", mention)
    if not match:
        return {"parse": []}
    return {"parse": [], "roles" if match[1] == "&" else "users": [match[2]]}


def _colour(view: IncidentView) -> int:
    if view.state == "resolved":
        return RESOLVED
    return AT_WORK if at_work(view) else COLOURS[view.severity]


class Discord:
    """Sends cards to one webhook, one request at a time."""

    name = "discord"

    def __init__(
        self,
        http: Http,
        webhook_url: SecretStr,
        mention: str | None,
        limiter: Limiter | None = None,
    ) -> None:
        base, _, query = validate_webhook_url(webhook_url.get_secret_value()).partition("?")
        self._http = http
        self._base = SecretStr(base)
        self._query = query
        self._token = SecretStr(base.rpartition("/")[2])
        self._mention = mention or ""
        self._limiter = limiter or Limiter()
        self._lock = asyncio.Lock()
        self._disabled: DeliveryError | None = None
        self._log = structlog.get_logger("receiver.discord")

    async def send(self, view: IncidentView, message_id: str | None, *, ring: Ring) -> str:
        """See Notifier.send. After an answer that the webhook is gone, every call is refused unasked."""
        async with self._lock:
            if message_id is not None and message_id.isdecimal():  # "dry-12" is of another notifier
                kept = await self._deliver(view, message_id, ring=ring)
                if kept is not None:
                    return kept
                self._log.warning("card_replaced", incident=view.id, message_id=message_id)
            created = await self._deliver(view, None, ring=ring)
            if created is None:
                raise DeliveryError(
                    "Discord answered a new message as if it were an edit", permanent=True
                )
            return created

    async def call(self, view: IncidentView, *, ring: Ring) -> str:
        """See Notifier.call: edits ring nobody, so this is a message beside the card."""
        mention = _heard(self._mention, ring)
        card = compose(view)
        whom = "\n".join(value for name, value in card.fields if name == CALL_FIELD)
        body = {
            "content": f"{mention} {card.call}\n{whom}".strip(),
            "allowed_mentions": _allowed(mention),
            "components": components(view.approvals),
        }
        return await self._create(body, silent=ring is Ring.SILENT)

    async def attach(self, message_id: str, files: Sequence[File]) -> Mapping[str, str]:
        """See Notifier.attach. What is there already is asked first: a crash may have cut off the record of it."""
        async with self._lock:
            there = attached(self._checked(await self._exchange(message_id, None)))
            missing = [file for file in files if file.name not in there]
            if missing:
                gone = {name for file in missing for name in file.replaces}
                body = {
                    "attachments": [
                        *({"id": one} for name, one in there.items() if name not in gone),
                        *(
                            {"id": number, "filename": file.name, "description": file.about[:900]}
                            for number, file in enumerate(missing)
                        ),
                    ],
                    "allowed_mentions": _allowed(""),
                }
                answer = await self._exchange(message_id, body, files=missing)
                there = attached(self._checked(answer))
            return {file.name: there[file.name] for file in files if file.name in there}

    def _checked(self, answer: Answer) -> Answer:
        """Raises DeliveryError for a refusal."""
        error = verdict(answer, trouble_of(answer), creating=False)
        if error:
            self._remember(error)
            raise error
        return answer

    async def post(self, note: Note, *, ring: Ring) -> str:
        """See Notifier.post."""
        body = render_note(note, mention=_heard(self._mention, ring))
        return await self._create(body, silent=ring is Ring.SILENT)

    async def _create(self, body: dict[str, Any], *, silent: bool) -> str:
        async with self._lock:
            answer = await self._exchange(None, body, silent=silent)
            error = verdict(answer, trouble_of(answer), creating=True)
            if error:
                self._remember(error)
                raise error
            return created(answer)

    async def _deliver(
        self, view: IncidentView, message_id: str | None, *, ring: Ring
    ) -> str | None:
        """The id of the message that now shows the card; None where ``message_id`` cannot any more."""
        body = _quiet(render(view, mention=self._mention, ring=ring), view, message_id)
        body["components"] = components(view.approvals)
        answer = await self._exchange(message_id, body, silent=ring is Ring.SILENT)
        trouble = trouble_of(answer)
        if answer.status == 400 and trouble.code not in (TOO_OLD_TO_EDIT, FORUM):
            self._log.error(
                "card_refused", incident=view.id, code=trouble.code, words=answer.words()
            )
            body = _quiet(_minimal(view, mention=self._mention, ring=ring), view, message_id)
            answer = await self._exchange(message_id, body, silent=ring is Ring.SILENT)
            trouble = trouble_of(answer)
        if message_id is not None and trouble.code in (UNKNOWN_MESSAGE, TOO_OLD_TO_EDIT):
            return None
        error = verdict(answer, trouble, creating=message_id is None)
        if error:
            self._remember(error)
            raise error
        return message_id or created(answer)

    async def _exchange(
        self,
        message_id: str | None,
        body: dict[str, Any] | None,
        *,
        silent: bool = False,
        files: Sequence[File] = (),
    ) -> Answer:
        """POST without ``message_id``, GET without ``body``, else PATCH."""
        if self._disabled:
            raise DeliveryError(
                self._disabled.words, permanent=True, gone=True, code=self._disabled.code
            )
        await self._limiter.wait()
        if message_id is None and silent:
            body = {**(body or {}), "flags": SILENT}
        edits = "GET" if body is None else "PATCH"
        answer = await self._http.request(
            "POST" if message_id is None else edits,
            self._address(message_id),
            headers={"User-Agent": USER_AGENT},
            json=body,
            files=files,
            secret_parts=[self._token, *secrets_in(body or {})],
        )
        self._limiter.learn(answer.headers)
        return answer

    def _address(self, message_id: str | None) -> SecretStr:
        base = self._base.get_secret_value()
        if message_id is not None:
            return SecretStr(f"{base}/messages/{message_id}?{self._queried(_COMPONENTS)}")
        # Without wait=true Discord answers before it has stored the message, and gives no id.
        return SecretStr(f"{base}?{self._queried('wait=true', _COMPONENTS)}")

    def _queried(self, *more: str) -> str:
        return "&".join(filter(None, [self._query, *more]))

    def _remember(self, error: DeliveryError) -> None:
        """What one refusal means for the requests after it."""
        if error.retry_after:
            self._limiter.block(error.retry_after)
        if error.gone:
            self._disabled = error
            self._log.error("webhook_disabled", words=error.words)
