"""What Prometheus and Alertmanager say when we ask them back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from receiver.http import Http
from receiver.telling.delivery import DeliveryError
from target.probe import USER_AGENT

_JOB = '{job="sermon-uploader"'
_HEADERS = {"Accept": "application/json", "User-Agent": USER_AGENT}


@dataclass(frozen=True)
class Rule:
    """An alerting rule as Prometheus has it loaded."""

    expression: str
    sets: frozenset[str]
    """Names of the labels that it gives its alerts."""
    description: str
    """The template of what people are told."""


async def rule_result(http: Http, url: str, alert: str, labels: dict[str, str]) -> bool:
    """Whether the expression of the alert's own rule, as Prometheus has it loaded, is true right now.

    ``labels``: the alert's; they tell rules of one name apart by the labels that the rules set.
    Raises DeliveryError where Prometheus does not answer, LookupError where it has no such rule.
    """
    for rule in await loaded_rules(http, url, alert, labels):
        if await is_true(http, url, on_host(rule.expression, labels.get("host", ""))):
            return True
    return False


async def loaded_rules(http: Http, url: str, alert: str, labels: Mapping[str, str]) -> list[Rule]:
    """The alert's own rules, as Prometheus has them loaded; at least one. Raises as rule_result()."""
    asked = (
        f"type=alert&exclude_alerts=true&rule_name[]={quote(alert)}"  # one rule may have thousands
    )
    answer = await answer_of(http, f"{url}/api/v1/rules?{asked}")
    try:
        found = [
            Rule(
                str(rule["query"]),
                frozenset(rule.get("labels") or {}),
                str((rule.get("annotations") or {}).get("description", "")),
            )
            for group in answer["data"]["groups"]
            for rule in group["rules"]
            if rule.get("name") == alert and _set_by(rule, labels)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DeliveryError(f"an answer that is not Prometheus's: {error!r}") from error
    if not found:
        raise LookupError(f"Prometheus has no rule {alert}")
    return found


def on_host(expression: str, host: str) -> str:
    """The same asked of one host alone, where targets have a label host (docs/hosts.md); ``host`` "": of all.

    Every selector of ours begins with its job.
    """
    if not host:
        return expression
    return expression.replace(_JOB, f"{_JOB},host={json.dumps(host, ensure_ascii=False)}")


async def is_true(http: Http, url: str, expression: str) -> bool:
    """Whether an expression has any result now. Raises DeliveryError where Prometheus does not answer."""
    answer = await answer_of(http, f"{url}/api/v1/query?query={quote(expression)}")
    try:
        return bool(answer["data"]["result"])
    except (KeyError, TypeError) as error:
        raise DeliveryError(f"an answer that is not Prometheus's: {error!r}") from error


async def values(
    http: Http, url: str, expression: str, at: datetime | None = None
) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series of an instant vector, now or ``at`` a moment. Raises DeliveryError."""
    time = f"&time={at.timestamp():.3f}" if at else ""
    answer = await answer_of(http, f"{url}/api/v1/query?query={quote(expression)}{time}")
    try:
        found = answer["data"]["result"]
        return [(dict(one["metric"]), float(one["value"][1])) for one in found]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DeliveryError(f"an answer that is not Prometheus's: {error!r}") from error


async def series(
    http: Http, url: str, expression: str, begin: float, end: float, step: float
) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
    """Labels and samples of each series from ``begin`` to ``end`` (seconds since 1970), as they were said.

    A value may be no number, and infinite; a time may be any. Raises DeliveryError. Source:
    Prometheus' documentation of its HTTP API, "Range queries".
    """
    when = f"&start={begin:.3f}&end={end:.3f}&step={step:.3f}"
    answer = await answer_of(http, f"{url}/api/v1/query_range?query={quote(expression)}{when}")
    try:
        return [
            (
                {str(name): str(value) for name, value in one["metric"].items()},
                [(float(at), float(value)) for at, value in one["values"]],
            )
            for one in answer["data"]["result"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DeliveryError(f"an answer that is not Prometheus's: {error!r}"[:200]) from error


def _set_by(rule: dict[str, Any], labels: Mapping[str, str]) -> bool:
    return all(
        labels.get(k) == v for k, v in (rule.get("labels") or {}).items() if "{{" not in str(v)
    )


async def still_active(http: Http, url: str, fingerprints: Collection[str]) -> bool:
    """Whether Alertmanager holds any of the alerts as active. Raises DeliveryError where it does not answer."""
    answer = await answer_of(http, f"{url}/api/v2/alerts?active=true&silenced=true&inhibited=true")
    if not isinstance(answer, list) or not all(isinstance(alert, dict) for alert in answer):
        raise DeliveryError("an answer that is not Alertmanager's")
    return any(alert.get("fingerprint") in fingerprints for alert in answer)


async def active_alerts(http: Http, url: str) -> list[dict[str, str]]:
    """The labels of all alerts whose expressions are true in Prometheus now, pending ones among them.

    Source: Prometheus' documentation of its HTTP API, "Alerts". The labels are without the external
    ones, which it adds for Alertmanager only. Raises DeliveryError.
    """
    answer = await answer_of(http, f"{url}/api/v1/alerts")
    try:
        return [dict(alert["labels"]) for alert in answer["data"]["alerts"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DeliveryError(f"an answer that is not Prometheus's: {error!r}") from error


async def alertmanager_status(http: Http, url: str) -> Any:
    """GET /api/v2/status, unchecked. Raises DeliveryError, permanent where the answer is no whole JSON."""
    return await answer_of(http, f"{url}/api/v2/status")


async def alert_groups(http: Http, url: str) -> Any:
    """GET /api/v2/alerts/groups, silenced and inhibited ones among them, unchecked. Raises as above."""
    return await answer_of(
        http, f"{url}/api/v2/alerts/groups?active=true&silenced=true&inhibited=true"
    )


async def answer_of(http: Http, url: str) -> Any:
    """The parsed answer to a GET, unchecked. Raises DeliveryError."""
    answer = await http.request("GET", url, headers=_HEADERS, timeout=5.0)
    if answer.status != 200:
        raise DeliveryError(f"HTTP {answer.status}: {answer.words(120)}")
    try:
        return answer.json()
    except ValueError as error:
        raise DeliveryError(str(error), permanent=True) from error
