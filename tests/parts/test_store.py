"""The store on real SQLite files: commits for many at once, trouble with the disk, and kill -9."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection

import pytest
from prometheus_client import CollectorRegistry

from receiver.clock import SystemClock
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.store import incidents, messages
from receiver.store.database import MIGRATIONS, Database, StoreError, connect, migrate, reading
from target.engine import Engine

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "state" / "receiver.sqlite3")
    database.open()
    yield database
    database.close()


def opened(c: Connection, service: str = "a") -> int:
    return incidents.open_incident(c, service, "critical", NOW)


def count(c: Connection) -> int:
    found: int = c.execute("SELECT count(*) FROM incidents").fetchone()[0]
    return found


async def test_many_at_once_are_all_on_the_disk_when_they_return(database: Database) -> None:
    def opening(number: int) -> Callable[[Connection], int]:
        return lambda c: opened(c, f"service {number}")

    numbers = await asyncio.gather(*(database.run(opening(n)) for n in range(500)))
    assert len(set(numbers)) == 500
    with reading(database.path) as other:
        assert count(other) == 500


async def test_one_faulty_change_is_its_callers_alone(database: Database) -> None:
    def faulty(c: Connection) -> None:
        opened(c, "half done")
        raise LookupError("mine")

    answers = await asyncio.gather(
        database.run(lambda c: opened(c, "before")),
        database.run(faulty),
        database.run(lambda c: [opened(c, "twice"), opened(c, "twice")]),
        database.run(lambda c: c.execute("INSERT INTO steps (id) VALUES (?)", (10**30,))),
        database.run(lambda c: opened(c, "after")),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [
        int,
        LookupError,
        sqlite3.IntegrityError,
        OverflowError,
        int,
    ]
    with reading(database.path) as other:
        assert {i.service for i in incidents.incidents(other)} == {"before", "after"}


async def test_a_caller_that_gave_up_does_no_harm(database: Database) -> None:
    waiting = asyncio.create_task(database.run(opened))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await database.run(count) in (0, 1)


async def test_closed_it_takes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite3")
    with pytest.raises(StoreError, match="closed"):
        await database.run(count)
    database.open()
    await database.run(opened)
    database.close()
    with pytest.raises(StoreError, match="closed"):
        await database.run(count)
    database.open()
    assert await database.run(count) == 1
    database.close()


@pytest.mark.parametrize("name", ["100%41", "a#b", "what?mode=ro", "ünï code"])
async def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    database = Database(tmp_path / name / "s.sqlite3")
    database.open()
    await database.run(opened)
    with reading(database.path) as other:
        assert count(other) == 1
    database.close()
    assert database.path.exists()


def test_the_folder_that_it_makes_is_nothing_to_others(tmp_path: Path) -> None:
    connect(tmp_path / "state" / "receiver.sqlite3").close()
    assert not (tmp_path / "state").stat().st_mode & 0o007


async def test_a_full_disk_is_said_and_gets_over(database: Database) -> None:
    def fill(c: Connection) -> None:
        for _ in range(1000):
            messages.add_event(c, None, "filler", "x" * 4000, NOW)

    pages = await database.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await database.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
    for _ in range(2):
        with pytest.raises(StoreError, match="full"):
            await database.run(fill)
    await database.run(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    await database.run(fill)
    filled = await database.run(lambda c: c.execute("SELECT count(*) FROM events").fetchone()[0])
    assert filled == 1000


async def test_another_writer_is_waited_for_then_told(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite3")
    database.open()
    await database.run(lambda c: None)
    other = connect(database.path)
    other.execute("BEGIN IMMEDIATE")
    assert database._connection is not None
    database._connection.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(StoreError, match="locked"):
        await database.run(opened)
    other.execute("ROLLBACK")
    other.close()
    assert await database.run(opened) == 1
    database.close()


async def test_a_damaged_file_is_the_stores_trouble(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.sqlite3")
    database.open()
    await database.run(lambda c: [opened(c, str(n)) for n in range(500)])
    page, size = await database.run(
        lambda c: c.execute(
            "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'incidents'"
        ).fetchone()
    )
    database.close()
    content = bytearray(database.path.read_bytes())
    content[(page - 1) * size : page * size] = os.urandom(size)
    database.path.write_bytes(content)
    with pytest.raises(StoreError), reading(database.path) as broken:
        incidents.incidents(broken)
    database.open()
    with pytest.raises(StoreError):
        await database.run(incidents.incidents)
    database.close()


@pytest.mark.parametrize("content", [b"no database at all, " * 400, b"\x00" * 8192])
async def test_what_is_no_database_takes_nothing_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.sqlite3"
    path.write_bytes(content)
    database = Database(path)
    database.open()
    with pytest.raises(StoreError, match="store repair"):
        await database.run(count)
    database.close()
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Database(tmp_path / "file" / "s.sqlite3").open()
    with pytest.raises(StoreError):
        connect(tmp_path)
    with pytest.raises(StoreError), reading(tmp_path / "missing.sqlite3"):
        pass


def test_the_file_of_a_newer_release_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    connection = connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="run the newer release"):
        migrate(connection)
    connection.close()


def test_migrations_are_applied_once(tmp_path: Path) -> None:
    connection = connect(tmp_path / "s.sqlite3")
    migrate(connection)
    opened(connection)
    migrate(connection)
    assert count(connection) == 1
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    connection.close()


async def test_two_receivers_on_one_file(tmp_path: Path) -> None:
    settings = ReceiverSettings.model_validate({"STATE_DIR": tmp_path})
    engine = Engine(f"unix://{tmp_path}/no.sock")
    first, second = (
        Receiver(settings, engine, CollectorRegistry(), SystemClock()) for _ in range(2)
    )
    await first.start()
    with pytest.raises(StoreError, match="in use by another receiver"):
        await second.start()
    await second.stop()
    await first.stop()
    await second.start()
    await second.stop()
    engine.close()


_ACCEPT = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from receiver.store import incidents
from receiver.store.database import Database

async def main():
    database = Database(Path(sys.argv[1]))
    database.open()
    async def one(number):
        await database.run(
            lambda c: incidents.open_incident(c, f"s{number}", "info", datetime.now(UTC))
        )
        print(f"s{number}", flush=True)
    number = 0
    while True:
        await asyncio.gather(*(one(number + k) for k in range(10)))
        number += 10

asyncio.run(main())
"""


def test_what_was_accepted_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-c", _ACCEPT, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(123)]
        child.kill()
        said += child.stdout.readlines()
    promised = {line.strip() for line in said if line.endswith("\n")}
    assert len(promised) >= 123
    database = Database(path)
    database.open()
    database.close()
    with reading(path) as after:
        kept = {row[0] for row in after.execute("SELECT service FROM incidents")}
        assert after.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert promised <= kept
