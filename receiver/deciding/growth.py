"""Whether one container's growth since its deployment explains that memory or processor run short. Pure at its core.

An older version can cure a shortage only where the application itself has grown since it was deployed,
more than any other container, and so much that the machine would be below the threshold without that.
All figures are percent of the whole machine: of its memory, or of all its cores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from receiver.hearing.prometheus import on_host, values
from receiver.http import Http
from receiver.telling.delivery import DeliveryError
from target.durations import format_duration

Resource = Literal["memory", "cpu"]
SETTLED = timedelta(minutes=15)
"""How long after a deployment the version counts as warmed up."""
_JOB = 'job="sermon-uploader"'
_WHOLE: Mapping[Resource, str] = {
    "memory": f"max(100 * (1 - node_memory_MemAvailable_bytes{{{_JOB}}} / node_memory_MemTotal_bytes{{{_JOB}}}))",
    "cpu": f'max(100 * (1 - avg by (instance) (sum by (instance, cpu) (rate(node_cpu_seconds_total{{{_JOB},mode=~"idle|iowait"}}[5m])))))',
}
_EACH: Mapping[Resource, str] = {
    "memory": f"100 * sum by (name) (avg_over_time(container_memory_working_set_bytes{{{_JOB}}}[5m])) / scalar(max(node_memory_MemTotal_bytes{{{_JOB}}}))",
    "cpu": f'100 * sum by (name) (rate(container_cpu_usage_seconds_total{{{_JOB}}}[5m])) / scalar(count(count by (cpu) (node_cpu_seconds_total{{{_JOB},mode="idle"}})))',
}


@dataclass(frozen=True)
class Shares:
    """Percent of the machine: used in all, and by each container now, just before and just after the deployment."""

    used: float
    now: Mapping[str, float]
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True)
class Explanation:
    """``explained`` is None where it could not be told."""

    explained: bool | None
    words: str


def explain(
    shares: Shares, apps: frozenset[str], resource: Resource, threshold: float, age: timedelta
) -> Explanation:
    """``apps``: the application's containers, the only ones that a rollback changes."""
    grown = {
        name: now - min(base)
        for name, now in shares.now.items()
        if (base := [one[name] for one in (shares.before, shares.after) if name in one])
    }
    known = apps & grown.keys()
    if not known:
        return Explanation(
            None, "Prometheus does not know how much the application took when it was deployed"
        )
    most, growth = max(grown.items(), key=lambda one: one[1])
    what = "memory" if resource == "memory" else "processor"
    since = f"since the deployment {format_duration(age)} ago"
    if most not in apps:
        mine = max(grown[name] for name in known)
        return Explanation(
            False,
            f"{most} has grown most {since} (by {growth:.0f} % of the {what}; the application by {mine:.0f} %): an older version of the application does not change that",
        )
    without = shares.used - growth
    words = f"{most} takes {growth:.0f} % of the {what} more than {since.removeprefix('since ')}"
    if without > threshold:
        return Explanation(
            False,
            f"{words}; without that {without:.0f} % would still be in use: it is not the cause",
        )
    return Explanation(True, f"{words}; without that {without:.0f} % would be in use")


async def look(
    http: Http,
    url: str | None,
    resource: Resource,
    apps: frozenset[str],
    deployed: datetime | None,
    threshold: float,
    now: datetime,
    own_host: str = "",
) -> Explanation:
    """Asked of Prometheus. ``deployed``: when the running version began, by the ledger."""
    if url is None:
        return Explanation(None, "PROMETHEUS_URL is not set: growth cannot be asked for")
    if deployed is None or deployed >= now:
        return Explanation(None, "the ledger does not know when the running version was deployed")
    warm = min(now, deployed + SETTLED)
    try:
        used = await values(http, url, on_host(_WHOLE[resource], own_host), now)
        each = [
            await values(http, url, on_host(_EACH[resource], own_host), at)
            for at in (now, deployed - timedelta(minutes=1), warm)
        ]
    except DeliveryError as error:
        return Explanation(None, f"Prometheus could not be asked about growth: {error}")
    whole = [value for _, value in used if math.isfinite(value)]
    if not whole:
        return Explanation(None, "Prometheus does not know how much is in use")
    shares = Shares(max(whole), *(_by_name(one) for one in each))
    age = timedelta(seconds=int((now - deployed).total_seconds()))
    return explain(shares, apps, resource, threshold, age)


def _by_name(found: Sequence[tuple[Mapping[str, str], float]]) -> Mapping[str, float]:
    return {
        labels["name"]: value
        for labels, value in found
        if labels.get("name") and math.isfinite(value)
    }
