"""Alertmanager's webhook body, version 4.

Source: Alertmanager's documentation of webhook_config and notify/webhook. Newer versions add
fields (notification_reason, routeLabels), so unknown ones are normal and ignored.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from receiver.hearing.numbers import WHOLE
from receiver.records import NOBODYS, Severity
from target.times import parse_rfc3339

LONGEST_VALUE = 8192
"""Characters kept of one label or annotation; what is beyond is cut with a mark, never refused."""


LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""A later time is taken as this: as seconds since 1970 the last ones round up into the year 10000."""
MOST_TRUNCATED = 2**31 - 1
_LONGEST_FIELD = 200


class BodyError(Exception):
    """Not a version-4 body. ``fields`` is what is at fault: a list of {field, problem}."""

    def __init__(self, fields: list[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{item['field']}: {item['problem']}" for item in fields))
        self.fields = fields


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("allowed: an RFC 3339 time")  # noqa: TRY004 - pydantic collects ValueError
    return _moment(value)


@lru_cache(maxsize=64)
def _moment(text: str) -> datetime:
    """The alerts of one evaluation began at the same moment."""
    return min(parse_rfc3339(text), LATEST)


def _short(value: str) -> str:
    """Without a zero, at which SQLite's json_each ends a text and which PostgreSQL takes in none."""
    value = value.replace("\0", "\ufffd")
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"


def _all_short(pairs: dict[str, str]) -> dict[str, str]:
    # Of a few hundred characters in all no part is too long: one join is cheaper than a look at each.
    text = "".join(chain(pairs, pairs.values()))
    if "\0" not in text and (
        len(text) <= LONGEST_VALUE or max(map(len, chain(pairs, pairs.values()))) <= LONGEST_VALUE
    ):
        return pairs
    return {_short(key): _short(value) for key, value in pairs.items()}


Time = Annotated[datetime, BeforeValidator(_time)]
Text = Annotated[str, AfterValidator(_short)]
Pairs = Annotated[dict[str, str], Field(max_length=256), AfterValidator(_all_short)]


class Alert(BaseModel):
    """One alert of a body. Its own status counts, not the group's."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    status: Literal["firing", "resolved"]
    labels: Pairs
    annotations: Pairs = {}
    starts_at: Time = Field(alias="startsAt")
    fingerprint: Annotated[str, Field(max_length=128), AfterValidator(_short)] = ""

    @property
    def name(self) -> str:
        return self.labels.get("alertname") or "(unnamed alert)"

    @property
    def service(self) -> str:
        named = self.labels.get("service") or "sermon-uploader"
        return f"{named} (no deployment)" if NOBODYS in self.labels else named

    @property
    def severity(self) -> Severity:
        """The label, where it is one of ours; anything else is a warning: seen, and pinging nobody."""
        match self.labels.get("severity"):
            case "critical":
                return "critical"
            case "info" | "none":
                return "info"
            case _:
                return "warning"

    @property
    def key(self) -> str:
        """The fingerprint, or a hash of the label set where a sender left it out."""
        if self.fingerprint:
            return self.fingerprint
        text = json.dumps(self.labels, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Webhook(BaseModel):
    """One notification of one alert group."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    version: Literal["4"]
    group_key: Text = Field(alias="groupKey")
    status: Literal["firing", "resolved"]
    receiver: Text
    external_url: Text = Field("", alias="externalURL")
    truncated_alerts: Annotated[int, Field(ge=0, le=MOST_TRUNCATED), WHOLE] = Field(
        0, alias="truncatedAlerts"
    )
    alerts: list[Alert]


def parse_webhook(body: bytes) -> Webhook:
    """Read one body. Raises BodyError with each field at fault."""
    try:
        return Webhook.model_validate_json(body)
    except ValidationError as error:
        fields = [
            {
                "field": ".".join(str(part) for part in item["loc"])[:_LONGEST_FIELD] or "body",
                "problem": item["msg"],
            }
            for item in error.errors(include_url=False, include_input=False, include_context=False)[
                :20
            ]
        ]
        raise BodyError(fields) from error
