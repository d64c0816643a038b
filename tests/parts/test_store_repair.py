"""A damaged store: said in words, kept aside, mended by one command while the receiver runs; and what keeps it small."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.store import incidents, messages, repair, retention
from receiver.store.database import MIGRATIONS, Database, connect, migrate
from receiver.store.owner import Owner
from receiver.store.repair import WHY_HELD, problems, snapshot_path
from receiver.store.trouble import StoreError
from receiver.upkeep import Upkeep
from sermon_monitor.cli import main
from tests.parts.receiver_kit import alert, body, receiver

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
PAGE = 4096


class Fixed:
    def now(self) -> datetime:
        return NOW


def filled(path: Path, count: int, ended: datetime | None = None) -> None:
    """``count`` incidents with an alert, a step, a message and events each."""
    with closing(connect(path)) as c:
        migrate(c)
        c.execute("BEGIN")
        for number in range(count):
            one = incidents.open_incident(c, f"service {number}", "critical", NOW)
            c.execute(
                "INSERT INTO alerts (incident_id, fingerprint, name, severity, labels, annotations, starts_at, first_seen, last_seen)"
                " VALUES (?, ?, 'ServiceDown', 'critical', '{}', '{}', 1, 1, 1)",
                (one, f"f{number}"),
            )
            c.execute(
                "INSERT INTO steps (incident_id, action, target, alert, state, due_at) VALUES (?, 'restart', 'app', 'ServiceDown', 'pending', 1)",
                (one,),
            )
            c.execute(
                "INSERT INTO messages (incident_id, kind, notifier, ping, revision, due_at, since) VALUES (?, 'card', 'dry', 0, 1, 1, 1)",
                (one,),
            )
            messages.add_event(c, one, "open", "x" * 200, NOW)
            if ended:
                c.execute("UPDATE steps SET state = 'dropped' WHERE incident_id = ?", (one,))
                c.execute("UPDATE messages SET delivered = revision WHERE incident_id = ?", (one,))
                c.execute(
                    "UPDATE incidents SET state = 'resolved', resolved_at = ? WHERE id = ?",
                    (ended.timestamp(), one),
                )
        c.execute("COMMIT")
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def flip(path: Path, page: int, seed: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[(page - 1) * PAGE : page * PAGE] = random.Random(seed).randbytes(PAGE)
    path.write_bytes(content)


def counts(path: Path) -> dict[str, int]:
    with closing(connect(path)) as c:
        return {
            table: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("incidents", "alerts", "steps", "messages", "events")
        }


def hurt_by(path: Path, before: dict[str, int]) -> dict[str, int]:
    """How many rows of which table are not there any more."""
    after = counts(path)
    return {table: count - after[table] for table, count in before.items() if after[table] < count}


def test_every_page_in_turn_and_no_sound_row_is_lost(tmp_path: Path) -> None:
    """Whichever page is flipped, the store is sound afterwards, and what lay elsewhere is there."""
    sound = tmp_path / "sound.sqlite3"
    filled(sound, 60)
    before, content = counts(sound), sound.read_bytes()
    with closing(sqlite3.connect(sound)) as c:
        roots = [row[0] for row in c.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0")]  # fmt: skip
    every = range(max(roots) + 1, len(content) // PAGE + 1)  # those before are a page a table
    for page in (*roots[::3], *every[::5]):
        path = tmp_path / str(page) / "receiver.sqlite3"
        path.parent.mkdir()
        path.write_bytes(content)
        flip(path, page, page)
        damaged = path.read_bytes()
        if not problems(path):
            continue  # a page that holds nothing
        done = repair.repair(path, NOW)
        assert done.aside.read_bytes() == damaged
        assert problems(path) == []
        hurt = hurt_by(path, before)
        assert len(hurt) <= 1, (page, hurt)
        with closing(connect(path)) as c:
            held = c.execute("SELECT count(*) FROM windows WHERE reason = ?", (WHY_HELD,)).fetchone()[0]  # fmt: skip
        assert bool(held) == (not done.salvaged.whole)
        if hurt:
            assert held, (page, hurt)
        assert {one.name for one in path.parent.iterdir()} == {
            *(path.name, done.aside.name, "receiver.lock")
        }


async def test_with_a_sound_copy_nothing_committed_before_it_is_lost(tmp_path: Path) -> None:
    """The pages of the schema among them: then even what came after the copy is read."""
    path = tmp_path / "receiver.sqlite3"
    filled(path, 40)
    database = Database(path)
    database.open()
    await Upkeep(database, timedelta(days=365), Fixed()).look()
    await database.run(lambda c: incidents.open_incident(c, "after the copy", "info", NOW))
    database.close()
    before, content = counts(path), path.read_bytes()
    with closing(sqlite3.connect(path)) as c:
        (where,) = c.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'incidents'").fetchone()  # fmt: skip
    for page in (1, where, *range(2, len(content) // PAGE + 1, 4)):
        path.write_bytes(content)
        flip(path, page)
        if not problems(path):
            continue
        done = repair.repair(path, NOW + timedelta(seconds=page))
        assert problems(path) == []
        assert hurt_by(path, before) == ({"incidents": 1} if page == where else {}), page
        with closing(connect(path)) as c:
            due = c.execute("SELECT count(*) FROM steps WHERE state = 'pending'").fetchone()[0]
        assert due == 40 - done.salvaged.copied["steps"]
        done.aside.unlink()


def test_a_store_of_an_older_release_is_mended_too(tmp_path: Path) -> None:
    path = tmp_path / "receiver.sqlite3"
    with closing(connect(path)) as c:
        migrate(c, 6)
        c.execute("INSERT INTO incidents (service, state, severity, opened_at) VALUES ('a', 'open', 'info', 1)")  # fmt: skip
        c.execute("INSERT INTO heartbeats VALUES ('Watchdog', 5)")
        page = c.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'incidents_by_end'").fetchone()[0]  # fmt: skip
    flip(path, page)
    assert repair.repair(path, NOW).salvaged.whole
    with closing(connect(path)) as c:
        assert c.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert c.execute("SELECT service FROM incidents").fetchone()[0] == "a"
        assert c.execute("SELECT last_at FROM heartbeats").fetchone()[0] == 5


def test_what_is_in_the_log_only_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "receiver.sqlite3"
    filled(path, 5)
    writer = connect(path)
    incidents.open_incident(writer, "in the log", "info", NOW)
    flip(path, 2)  # of heartbeats or so: whatever it is, not of the new row
    copies = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal")}
    writer.close()
    for end, content in copies.items():
        Path(f"{path}{end}").write_bytes(content)
    done = repair.repair(path, NOW)
    assert Path(f"{done.aside}-wal").read_bytes() == copies["-wal"]
    assert not Path(f"{path}-wal").exists()
    with closing(connect(path)) as c:
        services = {row[0] for row in c.execute("SELECT service FROM incidents")}
    assert "in the log" in services


async def test_a_receiver_goes_on_after_the_repair_without_a_restart(tmp_path: Path) -> None:
    environment = {"STATE_DIR": str(tmp_path / "state")}
    path = tmp_path / "state" / "receiver.sqlite3"
    path.parent.mkdir()
    filled(path, 50)
    with closing(connect(path)) as c:
        page = c.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'alerts'").fetchone()[0]
    flip(path, page)

    def command(*words: str) -> tuple[int, str]:
        ran = CliRunner().invoke(main, ["store", *words], env=environment)
        return ran.exit_code, ran.output

    async with receiver(tmp_path) as running:
        status, answer = await running.post(body())
        assert (status, answer) == (503, {"error": "the store cannot take it now"})
        status, words = await running.get("/readyz")
        assert status == 503
        assert "sermon-monitor store repair" in words
        assert await running.get("/healthz") == (200, "ok\n")
        assert "sermon_monitor_outbox_depth" not in running.metrics()
        assert (await asyncio.to_thread(command, "check"))[0] == 1
        code, told = await asyncio.to_thread(command, "repair")
        assert code == 0, told
        assert "is sound again" in told
        assert "damaged-" in told
        async with asyncio.timeout(60):
            while (await running.post(body(alert(fingerprint="new"))))[0] != 200:  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.1)
        assert await running.get("/readyz") == (200, "ready\n")
        assert "sermon_monitor_outbox_depth" in running.metrics()
        code, told = await asyncio.to_thread(command, "repair")
        assert code == 0
        assert f"{path} is sound: nothing to repair" in told
        code, told = await asyncio.to_thread(command, "repair", "--force")
        assert code == 1
        assert "stop it first" in told


async def test_a_receiver_that_starts_on_a_damaged_store_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "receiver.sqlite3"
    path.parent.mkdir()
    filled(path, 5)
    flip(path, 1)
    async with receiver(tmp_path) as running:
        assert (await running.post(body()))[0] == 503
        assert (await running.get("/healthz"))[0] == 200
        done = await asyncio.to_thread(repair.repair, path, NOW)
        assert done.aside.exists()
        async with asyncio.timeout(60):
            while (await running.post(body()))[0] != 200:  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.1)


def test_a_store_in_use_is_not_repaired(tmp_path: Path) -> None:
    path = tmp_path / "receiver.sqlite3"
    filled(path, 1)
    owner = Owner(path)
    owner.take()
    with pytest.raises(StoreError, match="in use"):
        repair.repair(path, NOW)
    owner.leave()


@pytest.mark.parametrize("as_json", [True, False])
def test_check_says_what_it_finds(tmp_path: Path, as_json: bool) -> None:
    path = tmp_path / "receiver.sqlite3"
    words = ["store", "check", *(["--json"] if as_json else [])]
    environment = {"STATE_DIR": str(tmp_path)}
    ran = CliRunner().invoke(main, words, env=environment)
    assert (ran.exit_code, "there is no store" in ran.output) == (1, True)
    filled(path, 5)
    ran = CliRunner().invoke(main, words, env=environment)
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.output)["sound"] if as_json else "is sound" in ran.output
    flip(path, 2)
    ran = CliRunner().invoke(main, words, env=environment)
    assert ran.exit_code == 1
    assert json.loads(ran.output)["problems"] if as_json else "store repair" in ran.output


async def test_what_is_long_over_is_forgotten_and_the_newest_never(tmp_path: Path) -> None:
    path = tmp_path / "receiver.sqlite3"
    filled(path, 320, ended=NOW - timedelta(days=400))
    with closing(connect(path)) as c:
        c.execute("UPDATE steps SET state = 'pending' WHERE 0")
        c.execute("UPDATE messages SET revision = 9 WHERE incident_id = 7")
        c.execute("UPDATE incidents SET state = 'open', resolved_at = NULL WHERE id = 8")
        for day in range(250):
            c.execute("INSERT INTO digests VALUES (?, ?, 1, 2, NULL)", (f"d{day}", float(day)))
    database = Database(path)
    database.open()
    await Upkeep(database, timedelta(days=365), Fixed()).look()
    kept = await database.run(
        lambda c: [row[0] for row in c.execute("SELECT id FROM incidents ORDER BY id")]
    )
    assert kept == [7, 8, *range(121, 321)]
    left = await database.run(lambda c: c.execute("SELECT count(*), max(due_at) FROM digests").fetchone())  # fmt: skip
    assert tuple(left) == (retention.KEPT_AT_LEAST, 249.0)
    assert await database.run(lambda c: c.execute("PRAGMA foreign_key_check").fetchall()) == []
    database.close()
    assert counts(path)["alerts"] == counts(path)["steps"] == 202


async def test_room_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "receiver.sqlite3"
    database = Database(path)
    database.open()
    await database.run(lambda c: messages.add_events(c, [(None, "x", "y" * 4000)] * 5000, NOW))
    await database.run(lambda c: c.execute("DELETE FROM events"))
    await Upkeep(database, timedelta(days=365), Fixed()).look()
    await database.run(lambda c: incidents.open_incident(c, "a", "info", NOW))
    database.close()
    assert path.stat().st_size < 1024 * 1024
    assert counts(path)["incidents"] == 1


async def test_damage_is_noticed_and_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "receiver.sqlite3"
    filled(path, 40)
    database = Database(path)
    database.open()
    upkeep = Upkeep(database, timedelta(days=365), Fixed())
    await upkeep.look()
    assert upkeep.problem == ""
    sound = snapshot_path(path).read_bytes()
    assert snapshot_path(path).stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(path)) as c:
        page = c.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events_by_incident'").fetchone()[0]  # fmt: skip
    flip(path, page)
    await upkeep.look()
    assert "store repair" in upkeep.problem
    assert snapshot_path(path).read_bytes() == sound
    database.close()
