"""What ``check`` asks of others: the rules that Prometheus has loaded, the workflow and its runner."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import yaml

from receiver.delivery import DeliveryError
from receiver.github.preflight import Finding as Looked
from receiver.github.preflight import Preflight
from receiver.http import Http
from receiver.service import build_github
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


async def rollback(http: Http, settings: Settings) -> list[Finding]:
    """Whether a dispatch would be taken, known before the night: token, workflow, runner, what is under way."""
    github = build_github(settings, http)
    if github is None:
        mend = "set GITHUB_TOKEN and GITHUB_REPO"
        return [Finding("note", "GitHub", "not configured: no rollback is dispatched", mend)]
    now = datetime.now(UTC)
    preflight = Preflight(github, settings.deploy_workflows, settings.github_token_expires)
    readiness = await preflight.look(now)
    short = readiness.shortcomings(now)
    return [_told(one, short=one in short, repo=settings.github_repo) for one in readiness.findings]


def _told(one: Looked, *, short: bool, repo: str | None) -> Finding:
    if short:
        return Finding("problem", one.about, f"{repo}: {one.words}", one.mend)
    if one.outcome in ("untold", "busy"):
        return Finding("note", one.about, one.words, one.mend)
    return Finding(
        "ok", one.about, f"{repo}: {one.words}" if one.about == "workflow" else one.words
    )
