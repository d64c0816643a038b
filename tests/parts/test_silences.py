"""Maintenance windows mirrored at Alertmanager: once, for a short time, and seen all the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.hearing.sorting import Claim, Share
from receiver.http import Http, open_session
from receiver.maintenance.silences import CREATED_BY, LEASE, Mirror, Silence, comment_of, plan
from receiver.records import Window
from receiver.store import windows
from receiver.store.database import Database
from tests.parts.intake_kit import FakeClock
from tests.parts.receiver_kit import WITHIN, policy_text, receiver
from tests.real.daemons import Alertmanager, Binaries
from tests.real.processes import fetch

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
W1 = Window(1, NOW, NOW + timedelta(hours=1), "updates", "person", 1, silence=True)
ROUTES = """
route: {receiver: sermon-monitor, group_by: [alertname], group_wait: 0s, group_interval: 1s,
        repeat_interval: 1h}
receivers:
  - name: sermon-monitor
    webhook_configs: [{url: "%s/alerts", send_resolved: true}]
"""


def silence(ends_in: int, *, by: str = CREATED_BY, comment: str = "", **more: Any) -> Silence:
    return Silence.model_validate(
        {
            "id": "a",
            "createdBy": by,
            "comment": comment or comment_of(W1),
            "startsAt": "2026-03-01T02:00:00.000Z",
            "endsAt": (NOW + ends_in * MINUTE).isoformat(),
            "status": {"state": "active"},
            **more,
        }
    )


def test_it_is_made_short_and_leaves_the_watchdog_alone() -> None:
    todo = plan([W1], [], ["Watchdog"], NOW)
    (body,) = todo.put
    assert "id" not in body
    assert body["endsAt"] == "2026-03-01T02:10:00Z"
    assert (body["createdBy"], body["comment"]) == (CREATED_BY, comment_of(W1))
    assert body["matchers"] == [
        {
            "name": "service",
            "value": "sermon-uploader|sermon-monitor",
            "isRegex": True,
            "isEqual": True,
        },
        {"name": "alertname", "value": "Watchdog", "isRegex": True, "isEqual": False},
    ]


@pytest.mark.parametrize(
    ("ends_in", "later", "until"),
    [(10, 0, None), (10, 4, None), (10, 6, "02:16:00"), (60, 59, None)],
)
def test_it_is_prolonged_when_half_of_it_is_over_and_never_past_the_window(
    ends_in: int, later: int, until: str | None
) -> None:
    todo = plan([W1], [silence(ends_in)], [], NOW + later * MINUTE)
    assert [body["endsAt"][11:19] for body in todo.put] == ([until] if until else [])
    assert all(body["id"] == "a" for body in todo.put)
    assert not todo.expire
    assert todo.kept == {"a"}


def test_what_is_not_wanted_any_more_ends_and_others_are_left_alone() -> None:
    listed = [
        silence(10, id="mine"),
        silence(10, id="second", startsAt="2026-03-01T02:00:01Z"),
        silence(10, id="of a former store", comment="maintenance window 1 of 2020"),
        silence(10, id="a person's", by="anna"),
        silence(-1, id="over", status={"state": "expired"}),
    ]
    todo = plan([W1], listed, [], NOW)
    assert (todo.put, set(todo.expire)) == ((), {"second", "of a former store"})
    assert set(plan([], listed, [], NOW).expire) == {"mine", "second", "of a former store"}


def test_of_several_deployments_each_has_its_own() -> None:
    """In one Alertmanager: of yonkers' alerts alone, and nobody ends what is another's."""
    claims = [
        Claim("plains", {"host": "plains"}),
        Claim("yonkers", {"host": "yonkers", "site": "a b"}),
    ]
    of_yonkers = Share("yonkers", claims)
    (body,) = plan([W1], [silence(10)], [], NOW, "yonkers", of_yonkers).put
    assert body["createdBy"] == f"{CREATED_BY} (yonkers)"
    exact = {m["name"]: m["value"] for m in body["matchers"] if not m["isRegex"]}
    assert exact == {"host": "yonkers", "site": "a b"}
    theirs = [silence(10, id="one"), silence(10, id="two", by=f"{CREATED_BY} (plains)")]
    assert plan([], theirs, [], NOW, "yonkers", of_yonkers).expire == ()
    assert plan([], theirs, [], NOW, "plains", Share("plains", claims)).expire == ("two",)


@pytest.fixture
def am(binaries: Binaries, tmp_path: Path) -> Iterator[Alertmanager]:
    with ExitStack() as stack:
        daemon = Alertmanager(binaries.alertmanager, tmp_path / "am", ROUTES % "http://127.0.0.1:9")
        stack.callback(daemon.stop)
        daemon.start()
        yield daemon


def standing(am: Alertmanager) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(fetch(f"{am.url}/api/v2/silences")[1])
    return [one for one in found if one["status"]["state"] == "active"]


async def until_standing(am: Alertmanager, count: int) -> None:
    async with asyncio.timeout(WITHIN):
        while len(await asyncio.to_thread(standing, am)) != count:  # noqa: ASYNC110 - it lies behind HTTP
            await asyncio.sleep(0.1)


@pytest.mark.daemons
async def test_at_a_real_alertmanager(am: Alertmanager, tmp_path: Path) -> None:
    database, clock = Database(tmp_path / "s.sqlite3"), FakeClock()
    clock.moment = datetime.now(UTC)
    database.open()
    asked: list[str] = []
    async with open_session() as session:

        def anew() -> Mirror:
            """As after a kill -9: all that is known is in the store and at Alertmanager."""
            return Mirror(database, am.url, ["Watchdog"], Http(session), clock, asked.append)

        first = anew()
        await first.look(am.url)
        assert (standing(am), asked) == ([], []), "nothing to mirror, nothing asked"
        begin = clock.now()
        await database.run(
            lambda c: windows.open_window(
                c, begin, begin + timedelta(hours=1), "updates", "person", begin, silence=True
            )
        )
        for mirror in (first, first, anew(), anew()):
            await mirror.look(am.url)
            (one,) = standing(am)
            assert mirror.ours == {one["id"]}
        assert one["createdBy"] == CREATED_BY
        clock.pass_by(minutes=6)
        await first.look(am.url)
        (longer,) = standing(am)
        assert longer["endsAt"] > one["endsAt"]
        now = clock.now()
        await database.run(lambda c: windows.end_windows(c, now))
        last = anew()
        await last.look(am.url)
        assert (standing(am), last.ours) == ([], frozenset())
        assert asked[-1] == "the silence of a maintenance window has ended"
        count = len(asked)
        await last.look(am.url)
        assert len(asked) == count, "once"
    database.close()
    assert timedelta(minutes=15) >= LEASE, "how long a dead receiver can silence"


@pytest.mark.daemons
@pytest.mark.long
async def test_what_is_silenced_is_seen_and_acted_on_at_the_end(
    am: Alertmanager, tmp_path: Path
) -> None:
    rows = """
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: none, steps: [person @0s]}
"""
    async with receiver(tmp_path, policy_text(rows), ALERTMANAGER_URL=am.url) as running:
        am.write(ROUTES % running.url)
        await asyncio.to_thread(am.reload)
        store, now = running.receiver._database, datetime.now(UTC)
        await store.run(
            lambda c: windows.open_window(
                c, now, now + timedelta(hours=1), "updates", "person", now, silence=True
            )
        )
        await until_standing(am, 1)
        await asyncio.to_thread(_fire, am)
        seen = await running.until(lambda i: i["alerts"][0]["firing"], "what is silenced")
        waits = await running.until(lambda i: "updates" in i["steps"][0]["words"], "the reason")
        assert (seen["id"], waits["steps"][0]["state"]) == (1, "pending")
        webhooks = 'sermon_monitor_webhooks_total{outcome="accepted"} '
        assert f"{webhooks}0.0" in running.metrics(), "Alertmanager itself is silent"
        end = datetime.now(UTC)
        await store.run(lambda c: windows.end_windows(c, end))
        await running.until(lambda i: i["steps"][0]["state"] == "done", "the call")
        await until_standing(am, 0)


def _fire(am: Alertmanager) -> None:
    now = datetime.now(UTC)
    alerts = [
        {
            "labels": {"alertname": name, "severity": "critical", "service": service},
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
        }
        for name, service in (("ServiceDown", "sermon-uploader"),)
    ]
    assert fetch(f"{am.url}/api/v2/alerts", "POST", json.dumps(alerts).encode())[0] == 200
