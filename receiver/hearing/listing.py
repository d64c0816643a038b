"""What Alertmanager lists, as far as it is about us. Pure: parsed answers in, values out.

Source: Alertmanager's api/v2/openapi.yaml (alertGroups, alertmanagerStatus).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from receiver.hearing.alertmanager import Alert, Pairs, Text, Time
from receiver.hearing.sorting import ALL, Share
from target.yaml_text import parse_yaml

MOST_CONFIG = 256 * 1024
"""Characters of Alertmanager's configuration that are read."""
MOST_DEPTH = 100
"""How deep its lists and maps may stand in one another; routes may be nested."""


class ListingError(Exception):
    """The answer is not Alertmanager's, in words."""


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _State(_Lenient):
    state: Literal["unprocessed", "active", "suppressed"]
    silenced_by: list[str] = Field(default=[], alias="silencedBy")
    inhibited_by: list[str] = Field(default=[], alias="inhibitedBy")
    muted_by: list[str] = Field(default=[], alias="mutedBy")

    def fires(self, ours: Collection[str]) -> bool:
        """``ours``: silences of ours, which hide nothing from ourselves."""
        if self.state == "suppressed" and self.silenced_by:
            return set(self.silenced_by) <= set(ours) and not self.inhibited_by + self.muted_by
        return self.state == "active"


class _Listed(_Lenient):
    labels: Pairs
    annotations: Pairs = {}
    starts_at: Time = Field(alias="startsAt")
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    status: _State

    def firing(self) -> Alert:
        return Alert.model_construct(
            status="firing",
            labels=self.labels,
            annotations=self.annotations,
            starts_at=self.starts_at,
            fingerprint=self.fingerprint,
        )


class _Receiver(_Lenient):
    name: Text


class _Group(_Lenient):
    receiver: _Receiver
    alerts: list[_Listed] = []


class _Config(_Lenient):
    original: Annotated[str, Field(max_length=MOST_CONFIG)]


class _Status(_Lenient):
    uptime: Time
    config: _Config


class _Named(_Lenient):
    name: str
    webhook_configs: list[Any] | None = None


class _Receivers(_Lenient):
    receivers: list[_Named]


_GROUPS = TypeAdapter(list[_Group])


@dataclass(frozen=True)
class Source:
    """An Alertmanager: since when it has been up, and which of its receivers have a webhook."""

    up_since: datetime
    hooks: frozenset[str]


def parse_status(answer: object) -> Source:
    """Reads the names of receivers out of its configuration. Raises ListingError.

    The addresses in it are masked, so that every webhook must count as ours.
    """
    try:
        status = _Status.model_validate(answer)
        loaded = _yaml(status.config.original)
        found = _Receivers.model_validate(loaded).receivers
    except (ValidationError, yaml.YAMLError, ValueError) as error:
        raise ListingError(f"a status that is not Alertmanager's: {_short(error)}") from error
    return Source(status.uptime, frozenset(one.name for one in found if one.webhook_configs))


def _yaml(text: str) -> Any:
    """Raises ValueError where it is nested so deeply that the C library's recursion would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise ValueError(f"nested deeper than {MOST_DEPTH}")
    return parse_yaml(text, yaml.CSafeLoader)


@dataclass(frozen=True)
class Listing:
    """What fires, whomever it is told, and which of it is told us."""

    listed: frozenset[str]
    """Fingerprints, silenced and inhibited ones among them."""
    active: Mapping[str, Alert]
    """By fingerprint: what may be opened."""
    fed: bool
    """A heartbeat alert is listed as active: Prometheus feeds this Alertmanager."""


def parse_groups(
    answer: object,
    hooks: Collection[str],
    heartbeat: Collection[str],
    ours: Collection[str] = frozenset(),
    share: Share = ALL,
) -> Listing:
    """An alert of several groups counts once; what only silences of ``ours`` hide is active.

    What is not of ``share`` is as if it were not listed. Raises ListingError.
    """
    try:
        groups = _GROUPS.validate_python(answer)
    except ValidationError as error:
        raise ListingError(f"groups that are not Alertmanager's: {_short(error)}") from error
    every = [(group, alert) for group in groups for alert in group.alerts]
    active = [(group, alert) for group, alert in every if alert.status.fires(ours)]
    told = [
        (alert.fingerprint, share.take(alert.firing()))
        for group, alert in active
        if group.receiver.name in hooks and alert.labels.get("alertname") not in heartbeat
    ]
    return Listing(
        listed=frozenset(alert.fingerprint for _, alert in every if share.has(alert.labels)),
        active={key: mine for key, mine in told if mine is not None},
        fed=any(alert.labels.get("alertname") in heartbeat for _, alert in active),
    )


@dataclass(frozen=True)
class Plan:
    """What the intake is to be told."""

    opened: Sequence[str]
    ended: Sequence[str]
    undecided: int
    """How many alerts would end, if Alertmanager could know already."""


def settled(source: Source, listing: Listing, now: datetime, settle: timedelta) -> bool:
    """Whether what is not listed has ended: it has been up for so long that Prometheus has told all."""
    return listing.fed and now - source.up_since >= settle


def compare(
    listing: Listing,
    before: Mapping[str, int],
    after: Mapping[str, int],
    since: Collection[str],
    *,
    settled: bool,
) -> Plan:
    """What Alertmanager says against what fires here.

    ``before``, ``after``: the instances (fingerprint and number) that fired here before Alertmanager
    was asked, and now; ``since``: fingerprints of which an instance began meanwhile. What a webhook
    has changed meanwhile is newer than the answer and stays as it is. Only an alert with a
    fingerprint of Alertmanager's can be ended by its silence.
    """
    opened = [
        key for key in listing.active if key not in before and key not in after and key not in since
    ]
    gone = [
        key
        for key, number in after.items()
        if before.get(key) == number and key not in listing.listed and _is_fingerprint(key)
    ]
    return Plan(opened, gone if settled else (), 0 if settled else len(gone))


def _is_fingerprint(key: str) -> bool:
    return len(key) == 16 and set(key) <= set("0123456789abcdef")


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
    return " ".join(str(error).split())[:200] or type(error).__name__
