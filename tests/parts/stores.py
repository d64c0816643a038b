"""The two places that a store can be in, for tests that must hold of both."""

from __future__ import annotations

import itertools
from contextlib import ExitStack, closing
from pathlib import Path
from sqlite3 import Connection

from pydantic import SecretStr

from receiver.clock import SystemClock
from receiver.store.database import Database, connect, migrate
from receiver.store.postgres import server as servers
from receiver.store.postgres.clock import ServerClock
from receiver.store.postgres.database import PostgresDatabase
from receiver.store.postgres.server import Server
from tests.real.postgres import Postgres

_numbers = itertools.count()
_made: set[Postgres] = set()
"""Servers that have a database to copy."""


class Stores:
    """New stores of one kind, closed at the end of a test."""

    def __init__(self, directory: Path, server: Postgres | None) -> None:
        """``server``: None for files."""
        self._directory = directory
        self._server = server
        self._ends = ExitStack()
        self._place: Server | None = None

    def database(self) -> Database:
        """Open."""
        made = self._made()
        made.open()
        self._ends.callback(made.close)
        return made

    def connection(self) -> Connection:
        """In autocommit, with this release's schema; always to the same."""
        if self._server is None:
            file = connect(self._directory / "s.sqlite3")
            migrate(file)
            self._ends.callback(file.close)
            return file
        if self._place is None:
            self._place = self._new()
        link = servers.connect(self._place)
        self._ends.callback(link.close)
        return servers.like_sqlite(link)

    def close(self) -> None:
        self._ends.close()

    def _made(self) -> Database:
        if self._server is None:
            return Database(self._directory / "s.sqlite3")
        return PostgresDatabase(self._new(), ServerClock(SystemClock()))

    def _new(self) -> Server:
        assert self._server is not None
        return Server(SecretStr(new_database(self._server)))


def new_database(server: Postgres) -> str:
    """Of one test alone, with this release's schema; its URL."""
    if server not in _made:
        _made.add(server)
        made = Server(SecretStr(server.database("made")))
        with closing(servers.connect(made)) as link:
            servers.migrate(link, "the test's")
    return server.database(f"test_{next(_numbers)}", template="made")
