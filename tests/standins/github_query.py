"""How GitHub refuses, filters, pages and saves repeated answers.

Sources: docs.github.com, REST "List workflow runs", "Using pagination", "Best practices" (conditional
requests).
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from aiohttp import web

from tests.standins.github_runs import Run

Item = TypeVar("Item")
_SIGNS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


class ApiError(Exception):
    """A refusal as GitHub prints it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def answer(self) -> web.Response:
        body = {
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(self.status),
        }
        return web.json_response(body, status=self.status, headers=self.headers)


def matches(query: Mapping[str, str], run: Run) -> bool:
    status = query.get("status")
    try:
        created = _created_filter(query["created"]) if "created" in query else None
    except ValueError as error:
        raise ApiError(422, f"Invalid created: {error}") from error
    return (
        query.get("event", "workflow_dispatch") == "workflow_dispatch"
        and query.get("branch", run.ref) == run.ref
        and query.get("head_sha", run.sha) == run.sha
        and (status is None or status in (run.status, run.conclusion))
        and (created is None or created(run.created_at))
    )


def page(request: web.Request, items: Sequence[Item]) -> list[Item]:
    size = min(int(request.query.get("per_page", "30")), 100)
    first = (int(request.query.get("page", "1")) - 1) * size
    return list(items[first : first + size])


def conditional(request: web.Request, answer: web.Response) -> web.Response:
    """An ETag on what was read; 304 where the caller has it already."""
    if request.method != "GET" or answer.status != 200 or not isinstance(answer.body, bytes):
        return answer
    etag = f'W/"{hashlib.sha256(answer.body).hexdigest()}"'
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    answer.headers["ETag"] = etag
    return answer


def _created_filter(text: str) -> Callable[[float], bool]:
    """The ``created`` filter: ``>=T``, ``>T``, ``<=T``, ``<T``, ``A..B`` with ``*``, or one day or time.

    Times of runs count in whole seconds. Source: docs.github.com, "Understanding the search
    syntax". Raises ValueError for anything else.
    """
    if ".." in text:
        low, high = (None if part == "*" else _moment(part) for part in text.split("..", 1))
        return lambda at: (low is None or int(at) >= low) and (high is None or int(at) <= high)
    sign = next((sign for sign in _SIGNS if text.startswith(sign)), None)
    if sign is not None:
        compare, edge = _SIGNS[sign], _moment(text[len(sign) :])
        return lambda at: bool(compare(int(at), edge))
    exact = _moment(text)
    length = 86_400 if len(text) == len("2026-01-31") else 1
    return lambda at: exact <= int(at) < exact + length


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
