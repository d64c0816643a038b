"""What GitHub's refusals mean: for good, later, or nobody knows. Pure.

Facts: github/docs, content/rest/using-the-rest-api/{rate-limits-for-the-rest-api,
troubleshooting-the-rest-api}.md.
"""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from receiver.http import Answer
from receiver.telling.delivery import DeliveryError

SECONDARY_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3600.0


class Trouble(BaseModel):
    """GitHub's error body; a proxy's answers are often none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message: str = ""
    errors: Any = None

    @classmethod
    def of(cls, answer: Answer) -> Trouble:
        try:
            return cls.model_validate(answer.json())
        except (ValueError, ValidationError):  # an HTML page: its beginning is the message
            return cls(message=answer.words(120))


def verdict(answer: Answer, accepted: tuple[int, ...], *, changes: bool) -> DeliveryError | None:
    """None where the status is among ``accepted``, else what it means.

    ``changes``: the request was to change something, so that a broken answer leaves doubt.
    """
    status = answer.status
    wait = rate_limit_seconds(answer)
    if wait is None and status in accepted:
        return None
    said = f"GitHub answered {status}: {Trouble.of(answer).message[:300] or 'nothing'}"
    if wait is not None:
        return DeliveryError(f"{said} (rate limit)", retry_after=wait, code=status)
    if status >= 500:
        return DeliveryError(said, ambiguous=changes, code=status)
    if 200 <= status < 300:
        return DeliveryError(f"{said}, which was not expected", ambiguous=changes, code=status)
    if status == 408:
        return DeliveryError(said, code=status)
    return DeliveryError(said + _advice(answer), permanent=True, code=status)


def rate_limit_seconds(answer: Answer) -> float | None:
    """How long to wait where the answer is a rate limit; None where it is not one."""
    if answer.status not in (403, 429):
        return None
    after = _number(answer.headers.get("Retry-After"))
    if after is not None:
        return _bounded(after)
    if answer.headers.get("X-RateLimit-Remaining", "").strip() == "0":
        return _bounded(_until_reset(answer))
    if answer.status == 429 or "rate limit" in Trouble.of(answer).message.lower():
        return SECONDARY_WAIT_SECONDS
    return None


def _until_reset(answer: Answer) -> float:
    """The reset is an epoch time; it is set against GitHub's own clock, ours may be wrong."""
    reset = _number(answer.headers.get("X-RateLimit-Reset"))
    try:
        now = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        return SECONDARY_WAIT_SECONDS
    return SECONDARY_WAIT_SECONDS if reset is None else reset - now


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 1.0), LONGEST_WAIT_SECONDS)


def _advice(answer: Answer) -> str:
    needed = answer.headers.get("X-Accepted-GitHub-Permissions")
    if answer.status == 401:
        return ". The token is wrong or has expired: set GITHUB_TOKEN anew"
    if answer.status == 403 and needed:
        return f". The token needs the permission {needed[:100]}"
    if answer.status == 404:
        return (
            ". Check GITHUB_REPO and ROLLBACK_WORKFLOW, and that the token may see the repository"
        )
    if answer.status in (301, 302, 307, 308):
        return ". The repository seems to have moved: set GITHUB_REPO to its new name"
    return ""
