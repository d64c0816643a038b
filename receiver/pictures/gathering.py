"""Asks Prometheus for the signal of one alert: what its rule compares, and the alert's own series of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from receiver.hearing import prometheus
from receiver.hearing.prometheus import Rule
from receiver.http import Http
from receiver.pictures.composing import Measured
from receiver.pictures.signals import LARGEST, Signal, signals, unit_of
from receiver.records import AlertInstance

POINTS = 240
LEAST_STEP = 15.0
"""Seconds; a scrape is not closer to the next."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_ALERTS = frozenset({"alertname", "severity", "category"})


async def gather(
    http: Http, url: str, alert: AlertInstance, begin: datetime, end: datetime
) -> Measured | None:
    """The signal that shows best why the alert fired; None where its rule has none, or nothing was measured.

    Raises DeliveryError where Prometheus does not answer, LookupError where it has no such rule.
    """
    spare: Measured | None = None
    for rule in await prometheus.loaded_rules(http, url, alert.name, alert.labels):
        for signal in signals(rule.expression):
            points = await _points(
                http, url, alert, rule, signal, begin.timestamp(), end.timestamp()
            )
            if all(value is None for _, value in points):
                continue
            measured = Measured(signal, unit_of(rule.description), points)
            if any(value is not None and fires(signal, value) for _, value in points):
                return measured
            spare = spare or measured
    return spare


def fires(signal: Signal, value: float) -> bool:
    return {
        "==": value == signal.threshold,
        "!=": value != signal.threshold,
        "<": value < signal.threshold,
        "<=": value <= signal.threshold,
        ">": value > signal.threshold,
        ">=": value >= signal.threshold,
    }[signal.comparison]


async def _points(
    http: Http, url: str, alert: AlertInstance, rule: Rule, signal: Signal, begin: float, end: float
) -> list[tuple[float, float | None]]:
    """One of ten thousand series may be the alert's: Prometheus itself is made to leave out the others."""
    step = max(LEAST_STEP, (end - begin) / POINTS)
    one = await prometheus.values(http, url, f"topk(1, ({signal.curve}\n))", alert.first_seen)
    names = set(one[0][0]) if one else set(alert.labels) - rule.sets - _OF_ALERTS
    own = {name: alert.labels[name] for name in names if name in alert.labels}
    asked = narrowed(signal.curve, own)
    every = await prometheus.series(http, url, asked, begin, end, step)
    mine = [samples for labels, samples in every if _is_of(labels, alert.labels)]
    return on_grid(max(mine, key=len, default=[]), begin, end, step)


def narrowed(curve: str, labels: Mapping[str, str]) -> str:
    """The curve of the one series with these labels. A comment in it ends with its line."""
    usable = {name: value for name, value in labels.items() if _NAME.fullmatch(name)}
    if not usable:
        return curve
    wanted = "vector(1)"
    for name, value in sorted(usable.items()):
        wanted = f'label_replace({wanted}, "{name}", {_text(value)}, "", "")'
    return f"({curve}\n) and on ({', '.join(sorted(usable))}) {wanted}"


def _text(value: str) -> str:
    """As a replacement in PromQL, where a dollar names a group."""
    whole = value.encode("utf-8", "replace").decode()
    return json.dumps(whole.replace("$", "$$"), ensure_ascii=False)


def _is_of(labels: Mapping[str, str], alert: Mapping[str, str]) -> bool:
    """Whether the series is the alert's, which may have more labels: the rule's, and those of the whole Prometheus."""
    return all(
        alert.get(name, value) == value for name, value in labels.items() if name != "__name__"
    )


def on_grid(
    samples: Sequence[tuple[float, float]], begin: float, end: float, step: float
) -> list[tuple[float, float | None]]:
    """A value for each step, whatever was said: None where there is none, or none that can be drawn."""
    found: dict[int, float] = {}
    for at, value in samples:
        if math.isfinite(value) and abs(value) <= LARGEST and begin - step < at < end + step:
            found[round((at - begin) / step)] = value
    count = int((end - begin) / step)
    return [(begin + number * step, found.get(number)) for number in range(count + 1)]
