"""What Prometheus and Alertmanager say when we ask them back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from urllib.parse import quote

from receiver.http import Http
from receiver.telling.delivery import DeliveryError
from target.probe import USER_AGENT

_HEADERS = {"Accept": "application/json", "User-Agent": USER_AGENT}


async def rule_result(http: Http, url: str, alert: str, labels: dict[str, str]) -> bool:
    """Whether the expression of the alert's own rule, as Prometheus has it loaded, is true right now.

    ``labels``: the alert's; they tell rules of one name apart by the labels that the rules set.
    Raises DeliveryError where Prometheus does not answer, LookupError where it has no such rule.
    """
    answer = await answer_of(http, f"{url}/api/v1/rules?type=alert&rule_name[]={quote(alert)}")
    try:
        expressions = [
            str(rule["query"])
            for group in answer["data"]["groups"]
            for rule in group["rules"]
            if rule.get("name") == alert and _set_by(rule, labels)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DeliveryError(f"an answer that is not Prometheus's: {error!r}") from error
    if not expressions:
        raise LookupError(f"Prometheus has no rule {alert}")
    for expression in expressions:
        if await is_true(http, url, expression):
            return True
    return False


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


def _set_by(rule: dict[str, Any], labels: dict[str, str]) -> bool:
    return all(labels.get(k) == v for k, v in rule.get("labels", {}).items() if "{{" not in str(v))


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
