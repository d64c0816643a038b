"""What ``check`` asks of Prometheus: the rules that it has loaded."""

from __future__ import annotations

import re
from typing import Any

import yaml

from receiver.http import Http
from receiver.telling.delivery import DeliveryError
from sermon_monitor.finding import Finding
from sermon_monitor.settings import Settings
from target.durations import parse_duration
from target.rules import render_rules

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")
_MEND = "sermon-monitor rules > monitoring/alerts.yml, then reload Prometheus"


async def drift(http: Http, settings: Settings) -> list[Finding]:
    """The alerts that Prometheus has loaded against those of the thresholds in force."""
    url = f"{settings.prometheus_url}/api/v1/rules?type=alert"
    try:
        answer = (await http.request("GET", url, headers={}, timeout=5.0)).json()
        loaded = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
        there = {_key(rule["name"], rule["labels"]): rule for rule in loaded}
        words = [
            line
            for rule in _ours(settings)
            for line in _differences(rule, there.get(_key(rule["alert"], rule["labels"])))
        ]
    except (DeliveryError, ValueError, KeyError, TypeError) as error:
        return [Finding("problem", "rules", f"Prometheus could not be asked for them: {error}")]
    if words:
        return [Finding("problem", "rules", line, _MEND) for line in words]
    return [
        Finding("ok", "rules", "Prometheus has loaded all alerts, with the thresholds in force")
    ]


def _ours(settings: Settings) -> list[dict[str, Any]]:
    groups = yaml.safe_load(render_rules(settings))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def _key(name: str, labels: dict[str, str]) -> tuple[str, str]:
    return name, labels.get("cause", "")


def _differences(ours: dict[str, Any], theirs: dict[str, Any] | None) -> list[str]:
    """Prometheus prints expressions anew, so their numbers are compared and not their text."""
    name = ours["alert"]
    if theirs is None:
        return [f"Prometheus has not loaded {name}"]
    found = []
    wanted = parse_duration(str(ours.get("for", "0s"))).total_seconds()
    if float(theirs["duration"]) != wanted:
        found.append(f"{name}: for is {wanted:g}s here and {theirs['duration']:g}s in Prometheus")
    if _numbers(ours["expr"]) != _numbers(theirs["query"]):
        found.append(f"{name}: its thresholds differ from those in Prometheus")
    return found


def _numbers(expression: str) -> list[float]:
    plain = re.sub(r"#.*|\"[^\"]*\"|\[[^\]]*\]", " ", expression)
    return sorted(float(text) for text in _NUMBER.findall(plain))
