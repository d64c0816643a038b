"""Collect the evidence of a container that restarts, crashes or runs out of memory. Changes nothing.

It is collected in a thread of its own, so that neither an Engine that is slow nor one that does not
answer holds up the other steps of the ladder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, SecretStr

from receiver.actions import Progress
from receiver.evidence import LOG_LINES, Gathered, compose, mount_sources
from receiver.host_state import host_lines
from receiver.records import Step
from receiver.rollback.way_back import LEDGER
from receiver.settings import ReceiverSettings
from receiver.store.history import History
from target import roles
from target.blocking import BlockedError, Blocking
from target.engine import Container, Engine, EngineError, parse_container
from target.engine_frames import Event, parse_event
from target.engine_tail import recent_lines
from target.version_keeper import LedgerFile
from target.versions import Release

PATIENCE_SECONDS = 0.2
"""How long an advance waits for what is being collected; then the other steps have their turn."""
LOOK_AGAIN = timedelta(seconds=1)
TRY_AGAIN = timedelta(seconds=30)
MOST_SECONDS = 60.0
"""Of collecting, whatever hangs."""
MOST_TRIES = 4
"""Of asking an Engine that does not answer; then what can be told without it must do."""
MOST_FILES = 5
"""An incident; more would only bury the first."""
FRESH = timedelta(minutes=5)
"""Evidence of the same container that is younger than this is not collected again."""
LOOK_BACK = timedelta(hours=1)
MOST_EVENTS = 30


class Investigate:
    """Safe to repeat after a crash: what had not been kept is collected anew."""

    name = "investigate"

    def __init__(self, settings: ReceiverSettings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._secrets = own_secrets(settings)
        self._collecting: dict[int, asyncio.Task[Gathered]] = {}

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        return "collecting", {"tries": 0}

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        if superfluous := _superfluous(step, history, now):
            return Progress("done", superfluous)
        task = self._collecting.get(step.id)
        if task is None:
            task = self._collecting[step.id] = asyncio.create_task(self._gather(step, now))
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not task.done():
            words = "is being collected"
            return Progress("running", words, "collecting", now + LOOK_AGAIN, step.detail)
        del self._collecting[step.id]
        return self._collected(step, task.result(), now)

    async def _gather(self, step: Step, now: datetime) -> Gathered:
        collecting: Blocking[Gathered] = Blocking("evidence")
        try:
            return await collecting.run(lambda: self._collect(step, now), MOST_SECONDS)
        except BlockedError as error:
            reason = step.alert or "the incident"
            return Gathered(step.target, reason, now, problems=[str(error)], retry=True)

    def _collected(self, step: Step, gathered: Gathered, now: datetime) -> Progress:
        tries = int(step.detail.get("tries", 0)) + 1
        if gathered.inspection is None and gathered.retry and tries < MOST_TRIES:
            words = f"{gathered.problems[0]}; asked again soon"
            return Progress("running", words, "collecting", now + TRY_AGAIN, {"tries": tries})
        found = compose(gathered, self._secrets)
        if gathered.inspection is None:
            words = f"{found.summary}; only the machine's state was collected"
            return Progress("failed", words, evidence=found)
        return Progress(
            "done", f"{step.target or found.container}: {found.summary}", evidence=found
        )

    def _collect(self, step: Step, now: datetime) -> Gathered:
        """Every part by itself: what one cannot tell, the others still do."""
        problems: list[str] = []
        container, retry = self._container(step.target, problems)
        raw = self._inspection(container, problems) if container else None
        name = container.name if container else step.target
        return Gathered(
            container=name,
            reason=step.alert or "the incident",
            at=now,
            inspection=raw,
            log=self._log(container, problems) if container else (),
            events=self._events(name, now, problems) if name and not retry else (),
            host=self._host(raw),
            deployments=self._deployments(problems),
            problems=problems,
            retry=retry,
        )

    def _host(self, raw: Mapping[str, Any] | None) -> list[str]:
        if self._settings.machine == "elsewhere":
            return ["another machine, whose load and disks cannot be seen from here"]
        paths = mount_sources(raw or {})
        return host_lines(self._settings.proc_root, self._settings.rootfs, paths)

    def _container(self, name: str, problems: list[str]) -> tuple[Container | None, bool]:
        """The container asked for, among those that are ours to look at; and whether asking again may help."""
        try:
            every = self._engine.containers()
        except EngineError as error:
            problems.append(str(error))
            return None, True
        mine = roles.app_containers(every, self._settings)
        minio = roles.minio_containers(every, self._settings)
        known = [*mine, *minio, *roles.watched(every, self._settings)]
        found = next((one for one in known if one.name == name), None) if name else None
        if found is None and not name and mine:
            found = mine[0]
        if found is None:
            problems.append(f"no container {name or 'of APP_SERVICE'} is there, or it is none of the application's")  # fmt: skip
        return found, False

    def _inspection(self, container: Container, problems: list[str]) -> dict[str, Any] | None:
        try:
            raw = dict(self._engine.inspect(container.id))
            parse_container(raw)
        except EngineError as error:
            problems.append(str(error))
            return None
        return raw

    def _log(self, container: Container, problems: list[str]) -> Sequence[Any]:
        try:
            return recent_lines(self._engine, container, LOG_LINES)[-LOG_LINES:]
        except (EngineError, ValueError, OverflowError) as error:
            problems.append(f"its log cannot be read: {error}")
            return ()

    def _events(self, name: str, now: datetime, problems: list[str]) -> list[Event]:
        try:
            body = self._engine.past_events(name, (now - LOOK_BACK).timestamp(), now.timestamp())
            found = [parse_event(line) for line in body.splitlines() if line.strip()]
        except EngineError as error:
            problems.append(f"the Engine's events cannot be read: {error}")
            return []
        return [event for event in found if event is not None][-MOST_EVENTS:]

    def _deployments(self, problems: list[str]) -> list[Release]:
        try:
            ledger, problem = LedgerFile(self._settings.state_dir / LEDGER).read()
        except OSError as error:
            ledger, problem = None, f"the version ledger cannot be read: {error.strerror}"
        if problem:
            problems.append(problem)
        return list(ledger.releases[-6:]) if ledger else []


def _superfluous(step: Step, history: History, now: datetime) -> str:
    """Why nothing need be collected, in words; empty where it must."""
    if len(history.evidence) >= MOST_FILES:
        return f"evidence was collected {MOST_FILES} times already; see {history.evidence[-1].file}"
    for known in history.evidence:
        if known.container == step.target and timedelta(0) <= now - known.made_at < FRESH:
            return f"it has just been collected; see {known.file}"
    return ""


def own_secrets(settings: BaseModel) -> tuple[str, ...]:
    """Every secret of our own settings: whatever the application logs, none of them is shown."""
    found = [value for _, value in settings if isinstance(value, SecretStr)]
    return tuple(secret.get_secret_value() for secret in found)
