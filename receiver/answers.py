"""What a request of somebody else's is answered, when it is not what it should be."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from receiver.seldom import Seldom

UNREADABLE = (web.RequestPayloadError, HttpProcessingError, zlib.error)
"""A Content-Encoding that is none, a chunk of no length: what the sender announced and did not send."""


def problem(
    status: int,
    words: str,
    *,
    fields: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """``words`` as JSON; ``fields``: what is wrong with which part of a body."""
    body: dict[str, Any] = {"error": words}
    if fields:
        body["fields"] = fields
    return web.json_response(body, status=status, headers=headers)


def tell_refusal(
    log: Any, seldom: Seldom, words: str, outcome: str, request: web.Request, answer: web.Response
) -> None:
    """One line in ``log`` for what somebody sent and was not taken; once in a while where it happens often."""
    if (before := seldom.due(outcome)) is not None:
        remote = request.remote
        log.warning(words, outcome=outcome, status=answer.status, remote=remote, unmentioned=before)


def as_json(value: Any) -> web.Response:
    """Times are RFC 3339."""
    return web.json_response(value, dumps=_dumps)


def _dumps(value: Any) -> str:
    return json.dumps(
        value, default=lambda item: item.isoformat() if isinstance(item, datetime) else str(item)
    )
