"""Two receivers as processes on one PostgreSQL, each listed in both of two Alertmanagers that do not know each other."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from receiver.store.postgres import server as servers
from receiver.store.postgres.server import Server
from receiver.store.trouble import StoreError
from tests.chaos.deployment import Deployment
from tests.chaos.surroundings import surroundings
from tests.parts.receiver_kit import policy_text
from tests.real.daemons import Alertmanager, Binaries
from tests.real.postgres import Postgres
from tests.real.processes import fetch
from tests.real.product import Product
from tests.standins.discord import Discord
from tests.standins.github import GitHub, Script

ROUTES = """
route: {receiver: both, group_by: [service], group_wait: 0s, group_interval: 1s, repeat_interval: 5s}
receivers:
  - name: both
    webhook_configs:
      - {url: "%s/alerts", send_resolved: true}
      - {url: "%s/alerts", send_resolved: true}
"""
WITHIN = 120.0
"""Seconds for a wave of incidents; it measures nothing."""


class World:
    """What is watched, who watches it, and who is told."""

    def __init__(self, url: str, deployment: Deployment, discord: Discord, github: GitHub) -> None:
        self.place = Server(SecretStr(url))
        self.deployment = deployment
        self.discord = discord
        self.github = github
        self.receivers: list[Product] = []
        self.alertmanagers: list[Alertmanager] = []
        self.fires: dict[str, str] = {}
        """Service to the alert's name: told as long as it stands here."""
        self.over: dict[str, str] = {}
        self.doing = ""
        github.play(Script(running_seconds=0.5))
        github.hook("run", self._cure)

    async def _cure(self, run: Any) -> None:
        if run.status == "completed":
            self.deployment.run_version(1)

    async def tell(self) -> None:
        """As Prometheus: what fires, to both, again and again; and what is over, as long."""
        while True:
            for manager in self.alertmanagers:
                await asyncio.to_thread(_send, manager, dict(self.fires), dict(self.over))
            await asyncio.sleep(0.5)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database itself."""
        link = servers.connect(self.place)
        try:
            return [tuple(row) for row in link.execute(query)]
        finally:
            link.close()

    def leader(self) -> Product | None:
        """Whoever has the lease now."""
        found = self.ask("SELECT holder FROM lease WHERE expires_at > clock_timestamp()")
        if not found:
            return None
        pid = int(str(found[0][0]).split(":")[-2])
        return next((p for p in self.receivers if p.process and p.process.pid == pid), None)

    async def until(self, query: str, what: str) -> None:
        """Until the one value that ``query`` asks for is true. The database may be down meanwhile."""
        try:
            async with asyncio.timeout(WITHIN):
                while True:
                    try:
                        if (await asyncio.to_thread(self.ask, query))[0][0]:
                            return
                    except StoreError:
                        pass
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"waited for {what}\n{self.picture()}") from None

    def picture(self) -> str:
        rows = self.ask(
            "SELECT i.id, i.service, i.state, i.check_at, s.action, s.state, s.phase, s.words FROM incidents AS i"
            " LEFT JOIN steps AS s ON s.incident_id = i.id WHERE i.state = 'open' ORDER BY i.id"
        )
        logs = "\n".join("\n".join(p.log().splitlines()[-15:]) for p in self.receivers)
        return "\n".join([*map(str, rows), logs])

    async def wave(self, number: int, size: int) -> None:
        """A bad version; ``size`` incidents of it, of which the first asks for a rollback; cured by that; all over."""
        names = [f"wave-{number}-{one}" for one in range(size)]
        self.deployment.deploy_bad()
        self.fires = {n: "ServiceDown" if n == names[0] else "SoonAPerson" for n in names}
        listed = ", ".join(f"'{name}'" for name in names)
        called = (
            f"incidents.service IN ({listed}) AND steps.action = 'person' AND steps.state = 'done'"
        )
        await self.until(
            f"SELECT count(*) = {size - 1} FROM steps JOIN incidents ON incidents.id = incident_id WHERE {called}",
            f"the calls of wave {number}",
        )
        await self.until(
            f"SELECT count(*) = 1 FROM steps JOIN incidents ON incidents.id = incident_id WHERE service = '{names[0]}' AND action = 'rollback' AND steps.state = 'done'",
            f"the rollback of wave {number}",
        )
        self.over, self.fires = {**self.over, **self.fires}, {}
        await self.until(
            f"SELECT count(*) = {size} FROM incidents WHERE service IN ({listed}) AND state = 'resolved'",
            f"the end of wave {number}",
        )

    async def told(self) -> None:
        """Until everything that waits to be told is."""
        await self.until(
            "SELECT count(*) = 0 FROM messages WHERE revision > delivered", "an empty outbox"
        )

    def faults(self, waves: int, size: int) -> Iterator[str]:
        """What is not as it must be, in words."""
        count = self.ask("SELECT count(*), count(*) FILTER (WHERE state <> 'resolved') FROM incidents WHERE digest = 0")  # fmt: skip
        if count != [(waves * size, 0)]:
            yield f"incidents, and open ones: {count}"
        # One of two Alertmanagers may tell of an end while the other still repeats that it fires: then the incident
        # is opened again, with a ladder of its own. That is seldom, and no second rollback.
        twice = self.ask(
            "SELECT incident_id, action FROM steps JOIN incidents ON incidents.id = incident_id WHERE started_at IS NOT NULL"
            " GROUP BY incident_id, action, reopened HAVING count(*) > 1 + CASE WHEN action = 'rollback' THEN 0 ELSE reopened END"
        )
        if twice:
            yield f"steps begun twice: {twice}\n{self._story(twice[0][0])}"
        again = self.ask("SELECT id FROM incidents WHERE reopened > 0")
        if len(again) > waves * size / 20:
            yield f"opened again: {again}\n{self._story(again[0][0])}"
        ended = self.ask(
            "SELECT action, state, count(*) FROM steps GROUP BY action, state ORDER BY 1, 2"
        )
        if {(a, s): n for a, s, n in ended}.get(("rollback", "done")) != waves:
            yield f"steps: {ended}"
        asked = [one.inputs["correlation_id"] for one in self.github.dispatches]
        if len(asked) != waves or len(set(asked)) != waves:
            yield f"{len(asked)} dispatches for {waves} rollbacks"
        calls = self.ask(
            "SELECT incident_id, count(*) FROM messages JOIN incidents ON incidents.id = incident_id WHERE messages.kind = 'call'"
            " GROUP BY incident_id, reopened HAVING count(*) > 1 + reopened"
        )
        if calls:
            yield f"called twice: {calls}\n{self._story(calls[0][0])}"
        yield from self._twice_told()
        ids = [row[0] for row in self.ask("SELECT id FROM incidents ORDER BY id")]
        one, other = (_board(product, ids) for product in self.receivers)
        if one != other:
            yield f"the boards do not agree: {[(a, b) for a, b in zip(one, other, strict=True) if a != b][:1]}"

    def _story(self, incident_id: int) -> str:
        told = self.ask(
            f"SELECT at, kind, words FROM events WHERE incident_id = {incident_id} ORDER BY id"
        )
        return "\n".join(map(str, told))

    def _twice_told(self) -> Iterator[str]:
        """Discord has no idempotency key: what may have been posted twice is counted, and nothing else is."""
        (found,) = self.ask(
            "SELECT count(message_id), sum(copies), count(*) FILTER (WHERE message_id IS NULL AND attempts > 0)"
            " FROM messages WHERE kind <> 'files'"
        )
        told, copies, cut_off = map(int, found)
        posted = len(self.discord.messages)
        if not told <= posted <= told + copies + cut_off:
            yield f"{posted} messages were posted for {told}, {copies} of them perhaps twice"

    async def harass(self, rng: random.Random, kills: int, every: tuple[float, float]) -> int:
        """Kill whoever works, or anyone, and start it again a moment later. Returns how many times."""
        done = 0
        while done < kills:
            await asyncio.sleep(rng.uniform(*every))
            try:
                leader = await asyncio.to_thread(self.leader)
            except StoreError:
                continue
            victim = leader if leader and rng.random() < 0.7 else rng.choice(self.receivers)
            await asyncio.to_thread(victim.kill)
            done += 1
            await asyncio.sleep(rng.uniform(0.0, 3.0))
            await asyncio.to_thread(victim.start)
        return done


def _board(product: Product, ids: Sequence[int]) -> list[Any]:
    """What it shows: the list, and each incident whole."""
    found = []
    for path in ("", *(f"/{number}" for number in ids)):
        status, body = fetch(f"{product.url}/api/incidents{path}", timeout=30)
        assert status == 200, body
        found.append(json.loads(body))
    return found


def _send(manager: Alertmanager, fires: dict[str, str], over: dict[str, str]) -> None:
    now = datetime.now(UTC)
    alerts = [
        {
            "labels": {"alertname": name, "severity": "critical", "service": service},
            "annotations": {"summary": f"{name} happens"},
            "startsAt": (now - timedelta(minutes=1)).isoformat(),
            "endsAt": (now + timedelta(minutes=4) if service in fires else now).isoformat(),
        }
        for service, name in {**over, **fires}.items()
    ]
    if alerts:
        try:
            fetch(f"{manager.url}/api/v2/alerts", "POST", json.dumps(alerts).encode())
        except OSError:
            return  # Prometheus sends again


@asynccontextmanager
async def world(
    server: Postgres, url: str, binaries: Binaries, directory: Path
) -> AsyncIterator[World]:
    """Everything, started."""
    async with AsyncExitStack() as stack:
        around = await stack.enter_async_context(surroundings(directory))
        (directory / "policy.yml").write_text(policy_text(recheck="300ms"))
        made = World(url, around.deployment, around.discord, around.github)
        settings = {
            **around.settings,
            "DATABASE_URL": url,
            "STATE_DIR": str(directory / "state"),
            "POLICY_FILE": str(directory / "policy.yml"),
            "COOLDOWN": "0s",
            "MAX_ROLLBACKS_PER_DAY": "100",
        }
        try:
            for name in "ab":
                product = Product(directory / name, settings)
                made.receivers.append(product)
                await asyncio.to_thread(product.start)
            routes = ROUTES % tuple(p.url for p in made.receivers)
            for name in "cd":
                manager = Alertmanager(binaries.alertmanager, directory / name, routes)
                made.alertmanagers.append(manager)
                await asyncio.to_thread(manager.start)
            telling = asyncio.create_task(made.tell())
            yield made
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        finally:
            for manager in made.alertmanagers:
                await asyncio.to_thread(manager.stop, 0.0)
            for product in made.receivers:
                await asyncio.to_thread(product.stop)


def secrets_in(products: Sequence[Product], secret: str) -> list[str]:
    """Lines of their logs that show it."""
    return [line for p in products for line in p.log().splitlines() if re.search(secret, line)]
