"""What Discord's answers mean: for good, for now, or so that nobody knows. Pure.

Facts about the API are from discord/discord-api-docs: developers/topics/rate-limits.mdx and
opcodes-and-status-codes.mdx.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ValidationError

from receiver.http import Answer
from receiver.notifiers.limiter import asked_wait, number
from receiver.telling.delivery import DeliveryError

BLOCKED_SECONDS: Final = 300.0  # Cloudflare in the way: minutes, says the reference

UNKNOWN_WEBHOOK = 10015
UNKNOWN_MESSAGE = 10008
INVALID_TOKEN = 50027
TOO_OLD_TO_EDIT = 30046
FORUM = 220001
CLOUDFLARE = 40333


class Trouble(BaseModel):
    """Discord's error body; Cloudflare's answers are often none."""

    code: int = 0
    message: str = ""
    retry_after: float | None = None


class _File(BaseModel):
    id: str
    filename: str


class _Message(BaseModel):
    id: str
    attachments: list[_File] = []


def trouble_of(answer: Answer) -> Trouble:
    """What the body says of an error; empty for success and for a body that is not Discord's."""
    if answer.status < 400:
        return Trouble()
    try:
        return Trouble.model_validate(answer.json())
    except (ValueError, ValidationError):  # an HTML page, a number that is none: the status decides
        return Trouble()


def verdict(answer: Answer, trouble: Trouble, *, creating: bool) -> DeliveryError | None:
    """None for success, else what the answer means for this message."""
    status, code = answer.status, trouble.code or answer.status
    said = f"Discord answered {status}: {trouble.message or answer.words(120) or 'nothing'}"
    if 200 <= status < 300:
        return None
    if status == 429:
        wait = max(number(trouble.retry_after), asked_wait(answer.headers), 1.0)
        return DeliveryError(said, retry_after=wait, code=code)
    if status >= 500:
        wait_or_none = asked_wait(answer.headers) or None
        return DeliveryError(said, retry_after=wait_or_none, ambiguous=creating, code=code)
    if status == 403 and (not trouble.code or trouble.code == CLOUDFLARE):
        wait = max(asked_wait(answer.headers), BLOCKED_SECONDS)
        return DeliveryError(f"{said} (Cloudflare is in the way)", retry_after=wait, code=code)
    if status == 401 or (status == 404 and trouble.code != UNKNOWN_MESSAGE):
        words = (
            f"{said}. The webhook does not exist any more: set DISCORD_WEBHOOK_URL anew and restart"
        )
        # Every 404 that is not about a message counts: going on after one gets the sender blocked.
        known = code if code in (INVALID_TOKEN, UNKNOWN_WEBHOOK) else status
        return DeliveryError(words, permanent=True, gone=True, code=known)
    if trouble.code == FORUM:
        said += (
            ". The webhook belongs to a forum: add ?thread_id=… to its URL, or take a text channel"
        )
    return DeliveryError(said, permanent=True, code=code)


def attached(answer: Answer) -> dict[str, str]:
    """The files of a message: ids by names."""
    try:
        found = _Message.model_validate(answer.json())
    except (ValueError, ValidationError):
        words = f"Discord answered {answer.status} without the message"
        raise DeliveryError(words, code=answer.status) from None
    return {file.filename: file.id for file in found.attachments}


def created(answer: Answer) -> str:
    try:
        return _Message.model_validate(answer.json()).id
    except (ValueError, ValidationError):
        raise DeliveryError(
            f"Discord answered {answer.status} without the new message's id",
            ambiguous=True,
            code=answer.status,
        ) from None
