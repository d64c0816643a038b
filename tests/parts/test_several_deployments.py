"""Several deployments in one receiver: whose an alert is, and what one of them cannot do to another."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from receiver.store.postgres import server as servers
from receiver.store.postgres.server import Server
from tests.parts.deployments_kit import (
    PLAINS,
    WITHIN,
    YONKERS,
    House,
    Town,
    house,
    of,
    town,
)
from tests.parts.receiver_kit import step
from tests.parts.stores import new_database
from tests.parts.test_reconcile import FEEDS, alertmanager
from tests.real.postgres import Postgres
from tests.real.processes import fetch, wait_for
from tests.unit.test_listing import A, B, group, listed


async def test_a_body_of_both_is_taken_apart(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        status, answer = await it.post(of(PLAINS), of(YONKERS), of(PLAINS, "OnlyHere"))
        assert (status, answer["alerts"]) == (200, 3)
        (plains,) = await it.incidents(PLAINS)
        (yonkers,) = await it.incidents(YONKERS)
        assert {a["name"] for a in plains["alerts"]} == {"ServiceDown", "OnlyHere"}
        assert {a["name"] for a in yonkers["alerts"]} == {"ServiceDown"}
        assert {a["labels"]["host"] for a in yonkers["alerts"]} == {YONKERS}
        assert it.metric(f'sermon_monitor_webhooks_total{{deployment="{PLAINS}",outcome="accepted"}}') == 1  # fmt: skip
        assert it.metric(f'sermon_monitor_incidents_open{{deployment="{YONKERS}",severity="critical"}}') == 1  # fmt: skip
        assert it.metric("sermon_monitor_alerts_unmatched_total") == 0
        await it.post(of(YONKERS, status="resolved"))
        assert [a["ended_at"] for a in (await it.incidents(PLAINS))[0]["alerts"]] == [None, None]
        assert [a["ended_at"] for a in (await it.incidents(YONKERS))[0]["alerts"]] != [None]


async def test_the_watchdog_goes_to_all(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.post(of("", "Watchdog"))
        for name in (PLAINS, YONKERS):
            seen = f'sermon_monitor_watchdog_last_seen_timestamp_seconds{{deployment="{name}"}}'
            assert it.metric(seen) > 0
        assert it.metric("sermon_monitor_alerts_unmatched_total") == 0


@pytest.mark.parametrize("default", [True, False])
async def test_what_is_nobodys_is_seen(tmp_path: Path, *, default: bool) -> None:
    """By the default as its own; where there is none by the first, apart, and nothing but a call comes of it."""
    async with house(tmp_path, {"default": default}) as it:
        assert (await it.post(of(""), of("shed", "OnlyHere"), of(PLAINS)))[0] == 200
        assert await it.incidents(YONKERS) == []
        found = {one["service"]: one for one in await it.incidents(PLAINS)}
        end = "" if default else " (no deployment)"
        assert set(found) == {f"sermon-uploader@{PLAINS}", f"sermon-uploader{end}", f"sermon-uploader@shed{end}"}  # fmt: skip
        asked = {s["action"] for s in found[f"sermon-uploader{end}"]["steps"]}
        assert asked == ({"rollback", "person"} if default else {"person"})
        assert {s["action"] for s in found[f"sermon-uploader@{PLAINS}"]["steps"]} == {"rollback", "person"}  # fmt: skip
        assert it.metric("sermon_monitor_alerts_unmatched_total") == 2


async def test_one_store_that_fails_is_503_and_loses_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        broken = it.receivers[YONKERS]._database
        broken.close()
        status, _ = await it.post(of(PLAINS), of(YONKERS))
        assert status == 503
        assert (await it.post(of(PLAINS)))[0] == 200, "what does not concern it is taken"
        assert len(await it.incidents(PLAINS)) == 1, "the other has committed its part"
        ready, words = await it.get("/readyz")
        assert (ready, words.partition(":")[0]) == (503, YONKERS)
        assert (await it.get(f"/at/{PLAINS}/readyz"))[0] == 200
        page = (await it.get("/"))[1]
        assert "1 of 2 is not healthy" not in page  # nothing answers at either application
        assert page.index(YONKERS) > 0
        broken.open()
        assert (await it.post(of(PLAINS), of(YONKERS)))[0] == 200
        (plains,) = await it.incidents(PLAINS)
        assert plains["alerts"][0]["repeats"] == 2
        assert len(await it.incidents(YONKERS)) == 1
        sample = 'sermon_monitor_webhooks_total{deployment="%s",outcome="%s"}'
        assert it.metric(sample % (YONKERS, "unavailable")) == 1
        assert it.metric(sample % (PLAINS, "unavailable")) == 0


async def test_what_was_left_out_may_be_anybodys(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        asked: list[str] = []
        for name, receiver in it.receivers.items():
            assert receiver.duty is not None
            receiver.duty._reconciler.ask = lambda _why, name=name: asked.append(name)  # type: ignore[method-assign, misc]
        await it.post(of(PLAINS), truncatedAlerts=3)
        assert set(asked) == {PLAINS, YONKERS}


async def test_refused_requests_are_of_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, WEBHOOK_TOKEN="t0ken") as it:
        assert (await it.post(of(PLAINS)))[0] == 401
        assert it.metric('sermon_monitor_webhooks_total{outcome="unauthorized"}') == 1
        assert await it.incidents(PLAINS) == []


async def test_each_adopts_its_own_of_one_alertmanager(tmp_path: Path) -> None:
    """What was missed: opened by whose it is; and what the file now gives to another ends where it was."""

    def missed(key: str, **labels: str) -> dict[str, Any]:
        return listed("ServiceDown", key, labels={"alertname": "ServiceDown", **labels})

    async with house(tmp_path) as it:
        await it.post({**of(PLAINS), "fingerprint": A})  # by another file it was White Plains'
        assert await _firing(it, PLAINS) == {A}
    async with alertmanager() as there, house(tmp_path, ALERTMANAGER_URL=there.url) as it:
        there.groups = [
            FEEDS,
            group(missed(A, host=YONKERS), missed(B, host=PLAINS), missed("c" * 16, host="shed")),
        ]
        async with asyncio.timeout(WITHIN):
            while await _firing(it, PLAINS) != {B, "c" * 16} or await _firing(it, YONKERS) != {A}:  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.05)


async def _firing(it: House, name: str) -> set[str]:
    found = await it.incidents(name)
    return {a["fingerprint"] for one in found for a in one["alerts"] if a["firing"]}


async def test_both_in_one_postgresql(postgres_server: Postgres, tmp_path: Path) -> None:
    """Each in a schema of its own: what holds up one does not hold up the other."""
    url = new_database(postgres_server)
    async with house(tmp_path, DATABASE_URL=url) as it:
        assert (await it.post(of(PLAINS), of(YONKERS), of(YONKERS, "SoonAPerson")))[0] == 200
        place = Server(SecretStr(url), "sermon_monitor_yonkers")
        with closing(servers.connect(place)) as link:
            link.execute("BEGIN IMMEDIATE")  # nobody writes there meanwhile
            late = asyncio.create_task(it.post(of(PLAINS, "OnlyHere"), of(YONKERS, "Third")))
            while len((await it.incidents(PLAINS))[0]["alerts"]) < 2:  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.02)
            assert not late.done()
            link.execute("ROLLBACK")
            assert (await late)[0] == 200
            assert link.execute("SELECT count(*) FROM alerts").fetchall() == [(3,)]
        assert [len(one["alerts"]) for one in await it.incidents(YONKERS)] == [3]


async def test_what_another_machine_would_have_to_tell_is_left_out(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        receiver = it.receivers[YONKERS]
        hindrance = await receiver.lookout.router.hindrance("sermon-uploader", "sha256:1")
        assert "another machine" in hindrance.words
        page = (await it.get(f"/at/{YONKERS}/"))[1]
        assert "it is on another machine" in page
        assert "<dt>disk</dt>" not in page


# As a process


async def _until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_for, condition, what, WITHIN)


def _rolled_back(it: Town, name: str, *states: str) -> bool:
    found = it.incidents(name)
    return bool(found) and step(found[0], "rollback").get("state") in states


async def test_two_churches(tmp_path: Path) -> None:
    """One body of both: White Plains rolls back, through a kill -9; Yonkers may not, and its Discord and GitHub hang."""
    more = {YONKERS: {"MAX_ROLLBACKS_PER_DAY": 0}}
    async with town(tmp_path, more) as it:
        plains, yonkers = it.around[PLAINS], it.around[YONKERS]
        plains.github.hook("run", lambda run: plains.deployment.run_version(1) if run.status == "completed" else None)  # fmt: skip
        for one in (plains, yonkers):
            one.deployment.deploy_bad()
        yonkers.discord.stall(600.0)
        yonkers.github.stall(600.0, times=100)
        assert await asyncio.to_thread(it.post, of(PLAINS), of(YONKERS), of("", "Watchdog")) == 200
        await plains.discord.wait_until(lambda d: d.messages, WITHIN)
        await plains.github.wait_until(lambda g: g.dispatches, WITHIN)
        assert not yonkers.discord.messages, "it hangs, and the other's card is there"
        await asyncio.to_thread(it.product.kill)
        yonkers.discord.calm()
        yonkers.github.calm()
        await asyncio.to_thread(it.product.start)
        await _until(lambda: _rolled_back(it, PLAINS, "done"), "the rollback at White Plains")
        await _until(lambda: _rolled_back(it, YONKERS, "refused"), "the refusal at Yonkers")
        await yonkers.discord.wait_until(lambda d: d.messages, WITHIN)
        assert (len(plains.github.dispatches), len(yonkers.github.dispatches)) == (1, 0)
        assert plains.github.dispatches[0].inputs["target_image"]
        assert "MAX_ROLLBACKS_PER_DAY" in step(it.incidents(YONKERS)[0], "rollback")["words"]
        for name, other in ((PLAINS, YONKERS), (YONKERS, PLAINS)):
            assert it.cards(name)
            assert all(other not in card for card in it.cards(name)), (
                "nobody's card tells of another"
            )
        await asyncio.to_thread(_asked, it)


def _asked(it: Town) -> None:
    """By commands, by the boards, by metrics and in the log."""
    url = it.product.url
    with pytest.raises(
        AssertionError, match=f"which deployment. --at NAME, of: {PLAINS}, {YONKERS}"
    ):
        it.product.command("incidents")
    told = json.loads(it.product.command("incidents", "--json", "--deployment", YONKERS))
    assert [one["service"] for one in told["incidents"]] == [f"sermon-uploader@{YONKERS}"]
    told = json.loads(it.product.command("explain", "OnlyHere", "--json", "--deployment", PLAINS))
    assert (told["row"]["discord"], told["labels"]["host"]) == ("grouped", PLAINS)
    it.product.command("maintenance", "start", "30m", "--reason", "a test", "--at", YONKERS)
    windows = [json.loads(fetch(f"{url}/at/{n}/api/maintenance")[1])["maintenance"] for n in (PLAINS, YONKERS)]  # fmt: skip
    assert [len(one) for one in windows] == [0, 1]
    front = json.loads(fetch(f"{url}/api/at")[1])["at"]
    assert {one["name"] for one in front} == {PLAINS, YONKERS}
    for name in (PLAINS, YONKERS):
        assert f"sermon-uploader@{name}" in fetch(f"{url}/at/{name}/")[1].decode()
        assert fetch(f"{url}/at/{name}/webhooks/github", "POST", b"{}")[0] == 401
    metrics = it.product.metrics()
    for name in (PLAINS, YONKERS):
        labels = f'action="rollback",deployment="{name}",outcome="done"'
        done = _sample(metrics, f"sermon_monitor_actions_total{{{labels}}}")
        assert done == (1 if name == PLAINS else 0)
    assert metrics.count("# TYPE sermon_monitor_webhooks_total counter") == 1
    log = it.product.log()
    assert re.search(rf"deployment\S*=\S*{YONKERS}", re.sub(r"\x1b\[[0-9;]*m", "", log)), (
        "each line says whose"
    )
    for one in it.around.values():
        assert one.github.token not in log
        assert one.settings["DISCORD_WEBHOOK_URL"] not in log


def _sample(metrics: str, name: str) -> float:
    """Whatever order its labels are written in."""
    family, _, labels = name.partition("{")
    wanted = set(labels.rstrip("}").split(","))
    for line in metrics.splitlines():
        found = re.fullmatch(rf"{family}\{{(.*)\}} (\S+)", line)
        if found and set(found[1].split(",")) == wanted:
            return float(found[2])
    raise AssertionError(f"{name} is not there")
