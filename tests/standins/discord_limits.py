"""Discord's two timed limits, and who a message would ping. No I/O; the time is an argument."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.standins.discord_form import FLAG_SILENT


@dataclass(frozen=True)
class Pings:
    """Whom the content addresses by the rules of ``allowed_mentions``.

    ``silent``: SUPPRESS_NOTIFICATIONS was set, so that there is a badge and no push.
    """

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    everyone: bool = False
    silent: bool = False

    def __bool__(self) -> bool:
        return bool(self.users or self.roles or self.everyone)


def pings_of(content: str, body: Mapping[str, Any]) -> Pings:
    """Only ``content`` counts, never an embed; a webhook's default is ``parse: ["users"]``.

    Source: discord-api-docs, resources/message, "Allowed Mentions Object".
    """
    allowed = body.get("allowed_mentions")
    allowed = {"parse": ["users"]} if allowed is None else allowed
    parse = allowed.get("parse") or []

    def addressed(kind: str, pattern: str) -> tuple[str, ...]:
        ids = dict.fromkeys(re.findall(pattern, content))
        listed = {str(one) for one in allowed.get(kind) or ()}
        return tuple(one for one in ids if kind in parse or one in listed)

    return Pings(
        users=addressed("users", r"<@!?(\d+)>"),
        roles=addressed("roles", r"<@&(\d+)>"),
        everyone="everyone" in parse and bool(re.search(r"@(everyone|here)\b", content)),
        silent=bool((body.get("flags") or 0) & FLAG_SILENT),
    )


class Bucket:
    """A fixed window of ``limit`` requests in ``window_seconds``, as webhooks show it in practice."""

    def __init__(self, name: str, limit: int, window_seconds: float) -> None:
        self.name = name
        self.limit = limit
        self.window_seconds = window_seconds
        self.used = 0
        self.resets_at = 0.0

    def take(self, now: float) -> bool:
        """Count one request; False when the window is spent."""
        if now >= self.resets_at:
            self.used, self.resets_at = 0, now + self.window_seconds
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def wait_seconds(self, now: float) -> float:
        return max(0.0, self.resets_at - now)

    def headers(self, now: float) -> dict[str, str]:
        """The headers of every answer. Source: discord-api-docs, topics/rate-limits."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset": f"{self.resets_at:.3f}",
            "X-RateLimit-Reset-After": f"{self.wait_seconds(now):.3f}",
            "X-RateLimit-Bucket": self.name,
        }


def limited(
    retry_after: float, *, scope: str = "user", everywhere: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a 429; ``Retry-After`` is in whole seconds, the body's float is exact."""
    body = {
        "message": "You are being rate limited.",
        "retry_after": round(retry_after, 3),
        "global": everywhere,
    }
    headers = {
        "Retry-After": str(math.ceil(retry_after)),
        "X-RateLimit-Scope": "global" if everywhere else scope,
    }
    if everywhere:
        headers["X-RateLimit-Global"] = "true"
    return body, headers
