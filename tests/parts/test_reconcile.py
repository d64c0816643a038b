"""What an Alertmanager lists after a start, whatever it answers; the real one is in test_monitoring_dies.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from tests.parts.receiver_kit import WITHIN, Running, alert, body, receiver
from tests.parts.watchdog_kit import watchdog
from tests.unit.test_listing import CONFIG, A, B, W, group, listed

FEEDS = group(listed("Watchdog", W))


class Alertmanager:
    """Answers as the real one does, or as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.up_since = datetime.now(UTC) - timedelta(hours=1)
        self.config = CONFIG
        self.groups: object = [FEEDS]
        self.alerts: list[dict[str, str]] | None = None
        """What is asked for before a step; None: it cannot be asked."""
        self.raw: bytes | None = None
        self.status = 200
        self.asked = 0
        self.before_answer: Callable[[], Awaitable[object]] | None = None

    async def tell_status(self, _request: web.Request) -> web.Response:
        up_since = self.up_since.isoformat().replace("+00:00", "Z")
        return web.json_response({"uptime": up_since, "config": {"original": self.config}})

    async def tell_groups(self, _request: web.Request) -> web.Response:
        self.asked += 1
        answer = self.raw if self.raw is not None else json.dumps(self.groups).encode()
        if self.before_answer:
            await self.before_answer()
        return web.Response(body=answer, status=self.status, content_type="application/json")

    async def tell_alerts(self, _request: web.Request) -> web.Response:
        return web.json_response(self.alerts, status=503 if self.alerts is None else 200)


@asynccontextmanager
async def alertmanager() -> AsyncIterator[Alertmanager]:
    there, served = Alertmanager(), web.Application()
    served.router.add_get("/api/v2/status", there.tell_status)
    served.router.add_get("/api/v2/alerts/groups", there.tell_groups)
    served.router.add_get("/api/v2/alerts", there.tell_alerts)
    async with TestServer(served) as server:
        there.url = str(server.make_url("")).rstrip("/")
        yield there


async def compared(running: Running, outcome: str, count: int = 1) -> None:
    """Until that many comparisons have had this outcome, or more."""
    beginning = f'sermon_monitor_reconciliations_total{{outcome="{outcome}"}} '
    async with asyncio.timeout(WITHIN):
        while True:
            lines = [x for x in running.metrics().splitlines() if x.startswith(beginning)]
            if lines and float(lines[0].removeprefix(beginning)) >= count:
                return
            await asyncio.sleep(0.02)


async def firing(running: Running) -> set[str]:
    found = await running.incidents()
    return {a["fingerprint"] for i in found for a in i["alerts"] if a["firing"]}


async def test_what_was_missed_is_opened_and_ended(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        for name, key in (("Old", A), ("Lasting", B), ("ByHand", "by hand")):
            await running.post(body(alert(name, fingerprint=key)))
    async with alertmanager() as there:
        there.groups = [
            FEEDS,
            group(listed("Lasting", B, "suppressed"), listed("New", "c" * 16)),
            group(listed("New", "c" * 16)),
            group(listed("Hushed", "d" * 16, "suppressed")),
            group(listed("Elsewhere", "e" * 16), receiver="direct"),
        ]
        async with receiver(tmp_path, ALERTMANAGER_URL=there.url) as running:
            await compared(running, "done")
            assert await firing(running) == {B, "c" * 16, "by hand"}
            (incident,) = await running.incidents()
            (new,) = [a for a in incident["alerts"] if a["name"] == "New"]
            assert new["repeats"] == 0


async def test_an_alertmanager_that_has_just_started_ends_nothing_yet(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        await running.post(body(alert("Old", fingerprint=A)))
    async with alertmanager() as there:
        there.groups = [group(listed("New", B))]
        async with receiver(tmp_path, ALERTMANAGER_URL=there.url) as running:
            await compared(running, "early", 2)
            assert await firing(running) == {A, B}
            there.groups = [FEEDS, group(listed("New", B))]
            there.up_since = datetime.now(UTC)
            await compared(running, "early", 3)
            assert await firing(running) == {A, B}
            there.up_since -= timedelta(hours=1)
            await compared(running, "done")
            assert await firing(running) == {B}


async def test_the_second_path_is_not_ours(tmp_path: Path) -> None:
    async with alertmanager() as there:
        there.config = "receivers: [{name: ours, discord_configs: [{}]}]"
        there.groups = [FEEDS, group(listed("New", A))]
        async with receiver(tmp_path, ALERTMANAGER_URL=there.url) as running:
            await compared(running, "done")
            assert await firing(running) == set()


async def test_the_listed_watchdog_is_no_sign_of_life(tmp_path: Path) -> None:
    async with (
        alertmanager() as there,
        receiver(tmp_path, ALERTMANAGER_URL=there.url) as running,
    ):
        await compared(running, "done")
        assert "watchdog_last_seen" not in running.metrics()


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"status": 500}, "unreachable"),
    ({"raw": b"<html>"}, "invalid"),
    ({"raw": b"[" * 500_000}, "invalid"),
    ({"raw": b"[" + b" " * 2_000_000 + b"]"}, "invalid"),
    ({"groups": {"status": "success", "data": []}}, "invalid"),
    ({"groups": [FEEDS, group(listed("New", B), {"fingerprint": A})]}, "invalid"),
    ({"groups": [FEEDS, group(listed("New", B, "resolved"))]}, "invalid"),
    ({"config": "receivers: " + "[" * 100_000}, "invalid"),
    ({"config": ""}, "invalid"),
]


@pytest.mark.parametrize(("changes", "outcome"), HOSTILE)
async def test_an_answer_that_is_not_understood_changes_nothing(
    tmp_path: Path, changes: dict[str, Any], outcome: str
) -> None:
    async with receiver(tmp_path) as running:
        await running.post(body(alert("Old", fingerprint=A)))
    with capture_logs() as logs:
        async with alertmanager() as there:
            for name, value in changes.items():
                setattr(there, name, value)
            async with receiver(tmp_path, ALERTMANAGER_URL=there.url) as running:
                await compared(running, outcome)
                assert await firing(running) == {A}
                for name, value in vars(Alertmanager()).items():
                    if name in changes:
                        setattr(there, name, value)
                await compared(running, "done")
                assert await firing(running) == set()
    assert not [entry for entry in logs if "exc_info" in entry]


async def test_what_a_webhook_says_meanwhile_is_newer(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        await running.post(body(alert("Old", fingerprint=A)))
    async with alertmanager() as there:
        there.groups = [FEEDS, group(listed("Old", A))]
        started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()

        async def meanwhile() -> None:
            there.before_answer = None
            running = await started
            await running.post(body(alert("Old", "resolved", fingerprint=A)))
            await running.post(body(alert("New", fingerprint=B)))

        there.before_answer = meanwhile
        async with receiver(tmp_path, ALERTMANAGER_URL=there.url) as running:
            started.set_result(running)
            await compared(running, "done")
            assert await firing(running) == {B}


async def test_after_a_gap_it_is_asked_again(tmp_path: Path) -> None:
    async with (
        alertmanager() as there,
        receiver(tmp_path, ALERTMANAGER_URL=there.url, WATCHDOG_TIMEOUT="1s") as running,
    ):
        await compared(running, "done")
        async with asyncio.timeout(WITHIN):
            while not await running.incidents():  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.02)
        asked = there.asked
        there.groups = [FEEDS, group(listed("New", A))]
        await running.post(watchdog())
        async with asyncio.timeout(WITHIN):
            while A not in await firing(running):  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.02)
        assert there.asked > asked


async def test_what_the_store_refused_is_asked_for(tmp_path: Path) -> None:
    async with (
        alertmanager() as there,
        receiver(tmp_path, ALERTMANAGER_URL=there.url, WATCHDOG_TIMEOUT="10s") as running,
    ):
        await compared(running, "done")
        there.groups = [FEEDS, group(listed("New", A))]
        database = running.receiver._database
        pages = await database.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
        await database.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        many = body(*(alert(fingerprint=f"f{n}") for n in range(500)))
        assert (await running.post(many))[0] == 503
        await database.run(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
        await compared(running, "done", 2)
        assert await firing(running) == {A}


async def test_what_a_step_finds_gone_is_asked_for(tmp_path: Path) -> None:
    """A webhook that comes after the end of its alert: Alertmanager is asked before the step, and then of all."""
    async with (
        alertmanager() as there,
        receiver(tmp_path, ALERTMANAGER_URL=there.url) as running,
    ):
        await compared(running, "done")
        there.alerts = [{"fingerprint": B}]
        there.groups = [FEEDS, group(listed("New", B))]
        await running.post(body(alert(fingerprint=A)))
        async with asyncio.timeout(WITHIN):
            while await firing(running) != {B}:  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.02)


async def test_what_was_left_out_of_a_message_is_asked_for(tmp_path: Path) -> None:
    async with (
        alertmanager() as there,
        receiver(tmp_path, ALERTMANAGER_URL=there.url) as running,
    ):
        await compared(running, "done")
        there.groups = [FEEDS, group(listed("First", A), listed("LeftOut", B))]
        await running.post(body(alert("First", fingerprint=A)))
        assert await firing(running) == {A}
        await running.post(body(alert("First", fingerprint=A), truncatedAlerts=1))
        await compared(running, "done", 2)
        assert await firing(running) == {A, B}


async def test_it_waits_for_an_alertmanager_that_is_not_there_yet(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with receiver(tmp_path, ALERTMANAGER_URL="http://127.0.0.1:9") as running:
            await compared(running, "unreachable", 2)
            assert (await running.get("/readyz"))[0] == 200
    assert [e["event"] for e in logs].count("compared with Alertmanager") == 1
