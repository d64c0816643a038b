"""A store in PostgreSQL: what is said when it cannot be used, who works, and what its commands do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from receiver.clock import SystemClock
from receiver.duty import Duty
from receiver.store import incidents, keys, messages
from receiver.store.database import StoreError
from receiver.store.postgres import lease as leases
from receiver.store.postgres import server as servers
from receiver.store.postgres.clock import ServerClock
from receiver.store.postgres.database import PostgresDatabase
from receiver.store.postgres.dialect import translated
from receiver.store.postgres.lease import Lease, LostError, Term, TermDatabase
from receiver.store.postgres.server import Server
from sermon_monitor.cli import main
from tests.parts.cli_kit import logging_put_back
from tests.parts.receiver_kit import Running, alert, body, receiver
from tests.parts.stores import new_database
from tests.real.postgres import PASSWORD, Postgres
from tests.real.product import COMMAND

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return new_database(postgres_server)


@contextlib.contextmanager
def opened(url: str) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(Server(SecretStr(url)), ServerClock(SystemClock()))
    database.open()
    try:
        yield database
    finally:
        database.close()


@asynccontextmanager
async def asking(database: PostgresDatabase) -> AsyncIterator[Lease]:
    """A receiver that would work."""
    lease = Lease(database, lambda: None)
    task = asyncio.create_task(lease.run())
    try:
        yield lease
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def ask(url: str, query: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def test_marks_are_translated_and_what_stands_in_texts_is_not() -> None:
    assert translated("a = ? AND b = :name") == "a = %s AND b = %(name)s"
    assert translated("x LIKE '% ?:a' OR y = '''?'") == "x LIKE '%% ?:a' OR y = '''?'"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wr0ng"}, "user or password of DATABASE_URL is wrong"),
        ({"database": "nowhere"}, "create it first: docs/several-receivers.md"),
    ],
)
def test_what_waiting_would_not_mend_stops_the_start(
    postgres_server: Postgres, change: dict[str, str], words: str
) -> None:
    place = postgres_server.url(**change)
    with pytest.raises(StoreError, match=words) as caught, opened(place):
        pass
    assert "wr0ng" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("postgresql://a:s3cret@127.0.0.1:1/d", "nothing listens there"),
        ("postgresql://a:s3cret@host.invalid/d", "no such host"),
    ],
)
async def test_what_may_pass_is_waited_for(place: str, words: str) -> None:
    with opened(place) as database:
        with pytest.raises(StoreError, match=words) as caught:
            await database.run(incidents.incidents)
        assert "s3cret" not in str(caught.value)


def test_tables_of_a_newer_release_are_left_alone(url: str) -> None:
    ask(url, "UPDATE sermon_monitor.version SET number = 99 RETURNING number")
    with pytest.raises(StoreError, match="has schema 99"), opened(url):
        pass


def test_a_role_that_may_make_no_tables_is_told_so(postgres_server: Postgres) -> None:
    postgres_server.database("bare")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    place = postgres_server.url("bare", "guest").replace("monitor:", "guest:")
    with pytest.raises(StoreError, match="needs CREATE on the database"), opened(place):
        pass


def test_many_that_start_at_once_make_the_tables_once(postgres_server: Postgres) -> None:
    place = postgres_server.database("empty")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(opened(place))
    assert ask(place, "SELECT number FROM sermon_monitor.version") == [(len(servers.MIGRATIONS),)]


async def test_one_works_and_hands_over_at_once(url: str) -> None:
    with opened(url) as one, opened(url) as other:
        async with asking(other) as second:
            async with asking(one) as first:
                done, waiting = await asyncio.wait(
                    [asyncio.create_task(lease.gained()) for lease in (first, second)],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                assert len(done) == 1
                await asyncio.sleep(2 * leases.RENEW_SECONDS)
                assert not any(task.done() for task in waiting)
            for lease in (first, second):
                await lease.give_up()
            async with asyncio.timeout(leases.LASTS_SECONDS - leases.MARGIN_SECONDS):
                await second.gained()
            for task in waiting:
                task.cancel()


async def test_a_term_that_is_over_changes_nothing(url: str) -> None:
    """As of one that was suspended: by its own count it still lasts, by the database's it does not."""
    with opened(url) as database:
        async with asking(database) as lease:
            term = await lease.gained()
            mine = TermDatabase(database, lease, term)
            await mine.run(lambda c: incidents.open_incident(c, "a", "critical", NOW))
        ask(url, "UPDATE sermon_monitor.lease SET holder = 'another', term = term + 1 RETURNING 1")
        with pytest.raises(LostError, match="another receiver works now"):
            await mine.run(lambda c: incidents.open_incident(c, "b", "critical", NOW))
        assert [i.service for i in await database.run(incidents.incidents)] == ["a"]


async def test_what_was_committed_as_the_lease_ended_is_not_acted_on(url: str) -> None:
    with opened(url) as database:
        async with asking(database) as lease:
            term = await lease.gained()

            def slow(c: Any) -> int:
                lease._until = 0.0  # the process was suspended at the commit
                return incidents.open_incident(c, "a", "critical", NOW)

            with pytest.raises(LostError, match="whoever works now goes on"):
                await TermDatabase(database, lease, term).run(slow)
            assert not lease.lasts(Term(term.number + 1))


@pytest.mark.long
async def test_one_that_stands_still_in_a_transaction_does_not_hold_up_the_others(url: str) -> None:
    """Suspended with the lock that all take: the server ends its session."""
    code = (
        "import sys; from pydantic import SecretStr; from receiver.store.postgres import server;"
        "c = server.connect(server.Server(SecretStr(sys.argv[1]))); c.execute('BEGIN IMMEDIATE');"
        "print('held', flush=True); sys.stdin.read()"
    )
    held = subprocess.Popen(  # noqa: ASYNC220 - it begins at once
        [COMMAND.parent / "python", "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert held.stdout is not None
        await asyncio.to_thread(held.stdout.readline)
        os.kill(held.pid, signal.SIGSTOP)
        with opened(url) as database:
            async with asyncio.timeout(30):
                await database.run(lambda c: incidents.open_incident(c, "a", "critical", NOW))
    finally:
        held.kill()
        held.communicate()


async def test_a_table_that_is_gone_is_trouble_of_the_store(url: str) -> None:
    with opened(url) as database:
        await database.run(lambda c: messages.prove_writable(c, NOW))
        await database.run(lambda c: c.execute("DROP TABLE readiness"))
        with pytest.raises(StoreError, match="a table of ours is gone"):
            await database.run(lambda c: messages.prove_writable(c, NOW))


async def test_all_sign_with_one_key(url: str) -> None:
    with opened(url) as one, opened(url) as other:
        assert await one.run(lambda c: keys.share(c, b"1" * 32)) == b"1" * 32
        assert await other.run(lambda c: keys.share(c, b"2" * 32)) == b"1" * 32


async def test_the_clock_is_the_databases(url: str) -> None:
    clock = ServerClock(SystemClock())
    clock.advance(-(clock.now() - NOW))  # months behind
    database = PostgresDatabase(Server(SecretStr(url)), clock)
    database.open()
    try:
        assert abs((datetime.now(UTC) - clock.now()).total_seconds()) < 5
    finally:
        database.close()


async def test_the_commands_work_on_it(url: str, tmp_path: Path) -> None:
    async with receiver(tmp_path, DATABASE_URL=url) as running:
        status, _ = await running.post(body())
        assert status == 200
        await running.until(lambda i: i["state"] == "open", "the incident")
        own = {
            "STATE_DIR": str(tmp_path / "state"),
            "DATABASE_URL": url,
            "PATH": os.environ["PATH"],
        }
        for arguments, words in (
            (["incidents", "--json"], '"ServiceDown"'),
            (["status"], "1"),
            (["note", "1", "a note of mine", "--by", "Anna"], ""),
            (["maintenance", "start", "30m", "--reason", "tests"], ""),
            (["maintenance", "list"], "tests"),
            (["explain", "ServiceDown", "cause=app", "--json"], "restart"),
            (["audit"], "a note of mine"),
        ):
            said = await asyncio.to_thread(_said, arguments, own)
            assert words in said, (arguments, said)
            assert PASSWORD not in said
        refused = await asyncio.to_thread(_said, ["store", "check"], own)
        assert "PostgreSQL keeps its files sound by itself" in refused
        assert PASSWORD not in refused


async def turn(running: Running) -> Duty:
    while (duty := running.receiver.duty) is None:  # noqa: ASYNC110 - it comes by itself
        await asyncio.sleep(0.05)
    return duty


@pytest.mark.long
async def test_a_turn_that_was_lost_comes_again(url: str, tmp_path: Path) -> None:
    """In one process: what it remembered of the first turn is gone in the second."""
    async with receiver(tmp_path, DATABASE_URL=url) as running:
        await running.post(body())
        await running.until(lambda i: i["state"] == "open", "the incident")
        async with asyncio.timeout(30):
            before = await turn(running)
            ask(
                url,
                "UPDATE sermon_monitor.lease SET holder = 'another', term = term + 1,"
                " expires_at = clock_timestamp() + interval '4 seconds' RETURNING 1",
            )
            while running.receiver.duty is before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert all(task.done() for task in before.every)
            assert running.receiver.unready() == "", "it takes webhooks all the same"
            after = await turn(running)
        assert after is not before
        await running.post(body(alert("Later", fingerprint="fp-later")))
        assert after.problem() == ""


def _said(arguments: list[str], environment: dict[str, str]) -> str:
    """In this process: a start of it costs more than the rest."""
    with logging_put_back():
        done = CliRunner(env=environment).invoke(main, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done.output


def test_nothing_is_loaded_where_the_store_is_a_file() -> None:
    code = "import sys, sermon_monitor.cli, sermon_monitor.serve; print('psycopg' in sys.modules)"
    done = subprocess.run(
        [COMMAND.parent / "python", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_an_empty_database_has_no_store_yet(postgres_server: Postgres) -> None:
    place = Server(SecretStr(postgres_server.database("nothing")))
    with closing(servers.connect(place)) as link:
        assert servers.version(link) is None
