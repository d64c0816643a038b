"""The thresholds of the alert rules, and alerts.yml rendered from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from importlib.resources import files
from typing import Annotated, Any

import jinja2
from pydantic import AfterValidator, BeforeValidator

from target.durations import Duration, format_duration, parse_duration
from target.settings import Room

UPLOAD_ROUTES = "/api/(admin/media/upload|uploads?(/.*)?|tus(/.*)?)"
"""The route templates whose latency contains the sender's own upload time (RE2, anchored)."""


def _number(low: float, high: float, unit: str, *, whole: bool = False) -> BeforeValidator:
    """A number from ``low`` to ``high``; anything else is refused with these words and no others."""
    kind = "a whole number" if whole else "a number"
    allowed = f"allowed: {kind} from {low:g} to {high:g} ({unit})"

    def read(value: Any) -> int | float:
        if isinstance(value, bool):
            raise ValueError(allowed)  # noqa: TRY004 - pydantic collects ValueError
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError) as problem:
            raise ValueError(allowed) from problem
        if not math.isfinite(number) or not low <= number <= high:
            raise ValueError(allowed)
        if number == int(number):
            return int(number)
        if whole:
            raise ValueError(allowed)
        return number

    return BeforeValidator(read)


def _window(value: timedelta) -> timedelta:
    shortest, longest = timedelta(minutes=1), timedelta(hours=6)
    if not shortest <= value <= longest or value % timedelta(seconds=1):
        raise ValueError("allowed: whole seconds from 1m to 6h, e.g. 300 or 5m")
    return value


def _age(value: timedelta) -> timedelta:
    if value < timedelta(hours=1) or value % timedelta(seconds=1):
        raise ValueError("allowed: whole seconds from 1h, e.g. 26h or 8d")
    return value


Percent = Annotated[float, _number(1, 99, "percent")]


class Thresholds(Room):
    """Where the guide's alerts begin, under the guide's own names.

    The guide's health-monitor.conf has 95 for the disk and its alert table 90: the table wins.
    """

    error_threshold: Annotated[
        int, _number(1, 10000, "errors, or failed probes in a row", whole=True)
    ] = 5
    high_error_rate_threshold: Annotated[
        float, _number(0.001, 0.999, "a share: 0.1 is 10 percent")
    ] = 0.1
    # Well below the last bucket of the histogram: no quantile is ever seen beyond that one.
    high_response_time_threshold: Annotated[int, _number(50, 60000, "milliseconds", whole=True)] = (
        5000
    )
    container_restart_threshold: Annotated[int, _number(1, 1000, "restarts", whole=True)] = 3
    restart_time_window: Annotated[Duration, AfterValidator(_window)] = timedelta(seconds=300)
    memory_usage_threshold: Percent = 90
    cpu_usage_threshold: Percent = 95
    disk_usage_threshold: Percent = 90
    backup_max_age: Annotated[Duration, AfterValidator(_age)] = timedelta(days=8)


def render_rules(thresholds: Thresholds, *, faster: int = 1) -> str:
    """The text of alerts.yml for ``thresholds``.

    ``faster`` divides every window and every ``for``, so that a demonstration of minutes takes
    seconds; the expressions stay as shipped. Raises ValueError below 1.
    """
    if faster < 1:
        raise ValueError("faster: a whole number from 1")
    span = _span(faster)
    # [[ ]] and [% %], because {{ }} belongs to Prometheus.
    environment = jinja2.Environment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is YAML and all values are numbers
    )
    template = environment.from_string(
        files("monitoring").joinpath("alerts.yml.j2").read_text(encoding="utf-8")
    )
    return template.render(
        **{
            name: _plain(getattr(thresholds, name))
            for name in Thresholds.model_fields
            if name not in ("restart_time_window", "high_response_time_threshold", "backup_max_age")
        },
        restart_time_window=format_duration(thresholds.restart_time_window),
        twice_restart_time_window=format_duration(2 * thresholds.restart_time_window),
        high_response_seconds=f"{thresholds.high_response_time_threshold / 1000:g}",
        # A backup's age is a fact of the calendar, also in a demonstration.
        backup_max_seconds=round(thresholds.backup_max_age.total_seconds()),
        upload_routes=UPLOAD_ROUTES,
        span=span,
        over=lambda text: f"[{span(text)}]",
        seconds=lambda text: _plain(parse_duration(text).total_seconds() / faster),
    )


def _plain(value: float) -> int | float:
    """90.0 reads 90, however it was set: the rules are compared as text."""
    return int(value) if value == int(value) else value


def _span(faster: int) -> Callable[[str], str]:
    def span(text: str) -> str:
        """A duration as PromQL writes it, which knows no fractions."""
        milliseconds = max(1, round(parse_duration(text) / timedelta(milliseconds=1) / faster))
        seconds, rest = divmod(milliseconds, 1000)
        if not rest:
            return format_duration(timedelta(seconds=seconds))
        return f"{seconds}s{rest}ms" if seconds else f"{rest}ms"

    return span
