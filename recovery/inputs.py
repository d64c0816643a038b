"""What may be typed, or sent by a workflow: patterns, and text made fit to be printed. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from target.times import parse_rfc3339

CLOCK_FLOOR = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock that is right shows an earlier time than this program was written at."""
REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?/)?"
    r"[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
"""github.com/distribution/reference: [host[:port]/]path[:tag][@digest]."""
IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
COMMIT = re.compile(r"[0-9a-f]{7,64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
CORRELATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
LONGEST = 512

Checked = Callable[[click.Context, click.Parameter, str | None], str | None]


def printable(text: str, longest: int = 500) -> str:
    """One line without control characters, so that a reason can neither forge nor colour a line of a log.

    ``##[`` begins a command to the Actions runner wherever it stands in a line (actions/runner,
    ActionCommand.cs), so it is broken up.
    """
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(flat.split()).replace("##[", "## [")[:longest]


def is_image(text: str) -> bool:
    """A reference to an image or a local image id."""
    return len(text) <= LONGEST and bool(REFERENCE.fullmatch(text) or IMAGE_ID.fullmatch(text))


class Seconds(click.FloatRange):
    """A time to wait. "nan" is smaller and greater than nothing, so a range alone lets it in."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(1, 3600)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not in the range 1<=x<=3600.", param, ctx)
        return seconds


def matching(what: str, accepts: Callable[[str], object], *, empty: bool = True) -> Checked:
    """A click callback; what ``accepts`` refuses is wrong usage.

    ``empty``: an empty value is an absent one, as a workflow sends it. Else it is a variable that was never
    set, and whoever typed it meant something.
    """

    def check(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
        if value is None or (empty and not value.strip()):
            return None
        if len(value) > LONGEST or not accepts(value):
            raise click.BadParameter(f"{printable(value, 80)!r}: allowed: {what}")
        return value

    return check


def parse_time(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A click callback for RFC 3339 times."""
    if not value or not value.strip():
        return None
    try:
        return parse_rfc3339(value.strip())
    except ValueError as error:
        raise click.BadParameter(
            f"{printable(value, 80)!r}: allowed: a time like 2026-03-01T10:00:00Z"
        ) from error


def too_late(expires_at: datetime | None, now: datetime, seen: datetime | None) -> str | None:
    """Why a request may not be carried out any more, or None.

    ``seen`` is the newest time that the ledger knows. A Pi has no clock of its own: until it has
    asked the network it may believe any earlier time, and then nothing can be said about expiry.
    """
    if expires_at is None:
        return None
    floor = _floor(seen)
    if now < floor:
        return (
            f"this machine's clock is not set: it says {_utc(now)}, and it has been {_utc(floor)} already; "
            f"whether the request of {_utc(expires_at)} has expired cannot be told"
        )
    if now >= expires_at:
        return f"the request expired at {_utc(expires_at)}; it is {_utc(now)} now"
    return None


def clock_is_behind(now: datetime, seen: datetime | None) -> bool:
    """Whether this machine's clock says a time that has been already."""
    return now < _floor(seen)


def _floor(seen: datetime | None) -> datetime:
    return max(CLOCK_FLOOR, seen) if seen else CLOCK_FLOOR


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
