"""``check``: everything that must be right before the night, each finding with what mends it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import yaml

from receiver.deciding.policy import Policy, PolicyError, load_policy
from receiver.equipment import policy_path
from receiver.http import Http, open_session
from receiver.notifiers import configured
from receiver.records import Ring
from receiver.store.database import StoreError
from receiver.store.postgres.server import Server
from receiver.telling.card import AlertLine, IncidentView
from receiver.telling.delivery import DeliveryError
from sermon_monitor import store_file
from sermon_monitor.checking.elsewhere import elsewhere
from sermon_monitor.checking.kernel import kernel
from sermon_monitor.checking.machine import machine
from sermon_monitor.checking.remote import drift
from sermon_monitor.checking.rollback import local_rollback, rollback
from sermon_monitor.checking.web import web
from sermon_monitor.deployments import Deployment
from sermon_monitor.finding import Finding
from sermon_monitor.settings import Settings
from target import roles
from target.engine import Container, Engine, EngineError
from target.probe import probe
from target.rules import render_rules


async def check(settings: Settings, *, send: bool, idle: Sequence[str] = ()) -> list[Finding]:
    """Look at everything; nothing is changed, and with ``send`` one test card goes out.

    ``idle``: settings that are set and have no effect.
    """
    found = [Finding("note", name, "is set and has no effect") for name in idle]
    found += [
        *web(settings),
        *(machine(settings) if settings.machine == "here" else ()),
        *_policy(settings),
        *_store(settings),
        *await _deployment(settings),
    ]
    async with open_session() as session:
        http = Http(session)
        found += await _daemon(
            http,
            "Prometheus",
            settings.prometheus_url,
            "/-/ready",
            "PROMETHEUS_URL",
            lambda: drift(http, settings),
        )
        found += await _daemon(
            http, "Alertmanager", settings.alertmanager_url, "/-/ready", "ALERTMANAGER_URL", None
        )
        found += _destinations(settings)
        found += [*await rollback(http, settings), *await local_rollback(settings)]
        found += await elsewhere(settings, send=send)
        if send:
            found.append(await _send(http, settings))
    return found


async def check_several(
    deployments: Sequence[Deployment], *, send: bool, idle: Sequence[str] = ()
) -> list[Finding]:
    """Each by itself, its findings with its name."""
    found = [Finding("note", name, "is set and has no effect") for name in idle]
    for one in deployments:
        for finding in await check(one.settings, send=send):
            found.append(replace(finding, what=f"{one.name}: {finding.what}"))
    return found


def _policy(settings: Settings) -> list[Finding]:
    path = policy_path(settings)
    try:
        policy = load_policy(path)
    except PolicyError as error:
        return [
            Finding(
                "problem", "policy", line, "mend the file; the shipped one is monitoring/policy.yml"
            )
            for line in error.problems
        ]
    missing = compare(policy, yaml.safe_load(render_rules(settings)))
    return [Finding("problem", "policy", words, f"edit {path}") for words in missing] or [
        Finding("ok", "policy", f"{path}: every alert has its row, every row its alert")
    ]


def compare(policy: Policy, rules: dict[str, Any]) -> list[str]:
    """What rules and table do not have in common. ``rules``: alerts.yml, parsed."""
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    labelled = [
        {"alertname": rule["alert"], **{k: str(v) for k, v in rule.get("labels", {}).items()}}
        for rule in alerts
    ]
    problems = []
    for labels in labelled:
        name = labels["alertname"]
        row = next((row for row in policy.alerts if row.matches(labels)), None)
        if row is None and name not in policy.heartbeat:
            problems.append(f"alert {name} has no row")
        elif row is not None and (row.severity, row.category) != (
            labels.get("severity"),
            labels.get("category"),
        ):
            problems.append(
                f"alert {name}: the rule says {labels.get('severity')}/{labels.get('category')}, the row {row.severity}/{row.category}"
            )
    for row in policy.alerts:
        if not any(row.matches(labels) for labels in labelled):
            problems.append(f"row {row.alert}{dict(row.match) or ''} has no alert")
    return problems


def _store(settings: Settings) -> list[Finding]:
    """Only looked at: what the wrong user makes here, the service could not write later."""
    path = settings.store
    if isinstance(path, Server):
        return [_database(path)]
    problem = ""
    try:
        if store_file.exists(path):
            with store_file.looking(path):
                pass
        nearest = next(p for p in (path, *path.parents) if store_file.exists(p))
        if not os.access(nearest, os.W_OK):
            problem = f"{nearest} may not be written by this user"
    except StoreError as error:
        problem = str(error)
    if problem:
        mend = f"make {settings.state_dir} writable for this user, or set STATE_DIR"
        return [Finding("problem", "store", problem, mend)]
    return [Finding("ok", "store", str(path))]


def _database(server: Server) -> Finding:
    try:
        there = store_file.exists(server)
        if there:
            with store_file.looking(server):
                pass
    except StoreError as error:
        return Finding("problem", "store", str(error), "docs/several-receivers.md")
    return Finding("ok", "store", f"{server}{'' if there else ' (the receiver makes its tables)'}")


async def _deployment(settings: Settings) -> list[Finding]:
    engine = Engine(settings.docker_host)
    try:
        containers = await asyncio.to_thread(engine.containers)
    except EngineError as error:
        mend = "start Docker, set DOCKER_HOST, or let this user use the socket: sudo usermod -aG docker $USER"
        found = [Finding("problem", "docker", str(error), mend)]
    else:
        found = [
            Finding("ok", "docker", f"{engine.host}: {len(containers)} containers"),
            *_containers(settings, containers),
        ]
    finally:
        engine.close()
    found += kernel(settings) if settings.machine == "here" else []
    for what, url, expected_body, setting in (
        (
            "application",
            settings.app_url + settings.app_health_path,
            settings.app_health_body,
            "APP_URL",
        ),
        (
            "MinIO",
            settings.minio_url + settings.minio_health_path,
            settings.minio_health_body,
            "MINIO_URL",
        ),
    ):
        result = await probe(url, 5.0, expected_body=expected_body)
        words = f"{url}: {result.detail}"
        found.append(
            Finding("ok", what, words)
            if result.healthy
            else Finding("problem", what, words, f"docker ps; docker logs …; or set {setting}")
        )
    return found


def _containers(settings: Settings, containers: list[Container]) -> list[Finding]:
    found = []
    for what, mine, setting in (
        ("application's container", roles.app_containers(containers, settings), "APP_SERVICE"),
        ("MinIO's container", roles.minio_containers(containers, settings), "MINIO_SERVICE"),
    ):
        names = ", ".join(f"{c.name} ({c.state})" for c in mine)
        found.append(
            Finding("ok", what, names)
            if mine
            else Finding(
                "problem",
                what,
                f"none is named by {setting}",
                f"set {setting} to its compose service or container name",
            )
        )
    return found


async def _daemon(
    http: Http,
    what: str,
    url: str | None,
    path: str,
    setting: str,
    more: Callable[[], Awaitable[list[Finding]]] | None,
) -> list[Finding]:
    if url is None:
        return [
            Finding(
                "note",
                what,
                f"{setting} is not set: it is not asked back before a step",
                f"set {setting}",
            )
        ]
    try:
        answer = await http.request("GET", url + path, headers={}, timeout=5.0)
    except DeliveryError as error:
        return [Finding("problem", what, str(error), f"start it, or mend {setting}")]
    if answer.status != 200:
        return [
            Finding(
                "problem",
                what,
                f"{url}{path} answers HTTP {answer.status}",
                f"look at its log, or mend {setting}",
            )
        ]
    return [Finding("ok", what, url), *(await more() if more else [])]


def _destinations(settings: Settings) -> list[Finding]:
    found = []
    if settings.discord_webhook_url is None:
        found.append(
            Finding(
                "note",
                "Discord",
                "not configured: messages are logged and shown on the board",
                "set DISCORD_WEBHOOK_URL",
            )
        )
    if settings.dry_run:
        found.append(
            Finding(
                "note", "actions", "DRY_RUN is true: steps are told, not done", "set DRY_RUN=false"
            )
        )
    return found


async def _send(http: Http, settings: Settings) -> Finding:
    now = datetime.now(UTC)
    line = AlertLine(
        "TestCard",
        "info",
        "",
        "This is a test: nothing is wrong",
        "Sent by sermon-monitor check --send.",
        True,
        now,
        None,
        "",
        "",
        0,
    )
    view = IncidentView(
        0,
        "sermon-uploader",
        "open",
        "info",
        now,
        None,
        0,
        (line,),
        (),
        (),
        False,
        settings.contacts,
        0,
        settings.dry_run,
        settings.public_url or "",
        "A test card",
    )
    (notifier, *_) = configured(http, settings)
    try:
        await notifier.send(view, None, ring=Ring.SILENT)
    except DeliveryError as error:
        return Finding(
            "problem",
            "test card",
            error.words,
            "make a new webhook in Discord and set DISCORD_WEBHOOK_URL",
        )
    if notifier.name == "dry":
        return Finding("note", "test card", "logged: no destination is configured")
    return Finding("ok", "test card", f"sent to {notifier.name}")
