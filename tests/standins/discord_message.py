"""What Discord's channel holds, and how Discord refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.standins.discord_limits import Bucket, Pings

CLOUDFLARE = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>"
    "<body><h1>Sorry, you have been blocked</h1></body></html>"
)
"""The page in front of Discord, for callers that it does not like."""
VIA = "1.1 google"
"""In every answer of Discord itself, in none of Cloudflare's. Source: topics/rate-limits."""


@dataclass(frozen=True)
class Version:
    """What a message said from ``at`` (epoch seconds) on; ``mentions`` ping only in the first version."""

    at: float
    body: dict[str, Any]
    mentions: Pings


@dataclass
class Message:
    """A message as the channel holds it, with everything that it ever said."""

    id: str
    webhook_id: str
    channel_id: str
    thread_id: str | None
    username: str
    created_at: float
    versions: list[Version] = field(default_factory=list)
    deleted: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    """The contents of what was ever uploaded, by the attachment's id."""

    @property
    def body(self) -> dict[str, Any]:
        return self.versions[-1].body

    @property
    def content(self) -> str:
        return str(self.body.get("content") or "")

    @property
    def embeds(self) -> list[dict[str, Any]]:
        return list(self.body.get("embeds") or ())

    @property
    def components(self) -> list[dict[str, Any]]:
        return list(self.body.get("components") or ())

    @property
    def attachments(self) -> list[dict[str, Any]]:
        return list(self.body.get("attachments") or ())

    @property
    def pings(self) -> Pings:
        """Who was notified: an edit notifies nobody."""
        return self.versions[0].mentions

    @property
    def edits(self) -> int:
        return len(self.versions) - 1

    def as_json(self) -> dict[str, Any]:
        edited = self.versions[-1].at if self.edits else None
        return {
            "id": self.id,
            "type": 0,
            "channel_id": self.thread_id or self.channel_id,
            "webhook_id": self.webhook_id,
            "author": {"id": self.webhook_id, "username": self.username, "bot": True},
            "content": self.content,
            "embeds": self.embeds,
            "components": self.components,
            "flags": self.body.get("flags", 0),
            "attachments": self.attachments,
            "mentions": [{"id": one} for one in self.versions[-1].mentions.users],
            "mention_roles": list(self.versions[-1].mentions.roles),
            "mention_everyone": self.versions[-1].mentions.everyone,
            "pinned": False,
            "tts": False,
            "timestamp": _iso(self.created_at),
            "edited_timestamp": None if edited is None else _iso(edited),
        }


@dataclass
class Webhook:
    id: str
    token: str
    channel_id: str
    bucket: Bucket
    name: str = "Sermon Monitor"
    deleted: bool = False


class RefusalError(Exception):
    """Discord's refusal: status, JSON body (or an HTML page) and headers."""

    def __init__(
        self, status: int, body: Mapping[str, Any] | str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def answer(self) -> web.Response:
        if isinstance(self.body, str):
            return web.Response(
                status=self.status, text=self.body, content_type="text/html", headers=self.headers
            )
        headers = {"Via": VIA, **self.headers}
        return web.json_response(self.body, status=self.status, headers=headers)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
