"""Where the PostgreSQL is, and how it is connected to. psycopg is loaded only where DATABASE_URL names one."""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from receiver.store.trouble import StoreError, TroubleError

if TYPE_CHECKING:
    from receiver.store.postgres.dialect import Connection

SCHEMES = ("postgresql", "postgres")
SCHEMA = "sermon_monitor"
"""Of ours within the database, so that it may hold others' tables too; the default of DATABASE_SCHEMA."""
MIGRATIONS = ("schema.sql",)
"""Files of this package, in order; the table ``version`` says how many were applied."""
ALL_WRITES = 5001_2026
CONNECT_SECONDS = 5
_LIMITS = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "sermon-monitor",
}
_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "lock_timeout": "10s",
        "statement_timeout": "20s",
        # A receiver that was stopped in the middle of a transaction must not hold up the others.
        "idle_in_transaction_session_timeout": "5s",
        "default_transaction_isolation": "read\\ committed",
    }.items()
)


@dataclass(frozen=True)
class Server:
    """A database of a PostgreSQL. Its text names no user and no password."""

    url: SecretStr
    schema: str = SCHEMA
    """DATABASE_SCHEMA: letters, digits and _."""

    @property
    def news(self) -> str:
        """The channel on which each commit that changed something is told of, by whom."""
        return f"{self.schema}_news"

    @property
    def lock(self) -> int:
        """The number of the advisory lock that puts the transactions on this schema in a row."""
        if self.schema == SCHEMA:
            return ALL_WRITES
        return int.from_bytes(hashlib.sha256(self.schema.encode()).digest()[:8], signed=True)

    def __str__(self) -> str:
        parts = urlsplit(self.url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        socket = dict(parse_qsl(parts.query)).get("host", "")
        return f"postgresql://{host or unquote(socket)}{parts.path}"


def installed() -> bool:
    """Whether the extra ``postgres`` is there."""
    return importlib.util.find_spec("psycopg") is not None


def parameters(server: Server) -> dict[str, Any]:
    """For psycopg: the address, and what bounds every wait."""
    options = f"-c search_path={server.schema} {_OPTIONS}"
    return {"conninfo": server.url.get_secret_value(), "options": options, **_LIMITS}


def connect(server: Server) -> Connection:
    """In autocommit. Raises TroubleError; StoreError where waiting would mend nothing."""
    import psycopg

    from receiver.store.postgres.dialect import Connection, in_words, is_for_good

    try:
        raw = psycopg.connect(autocommit=True, **parameters(server))
    except psycopg.ProgrammingError:
        raise StoreError(
            "DATABASE_URL: allowed: postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from None  # its words may hold what was given
    except psycopg.Error as error:
        kind = StoreError if is_for_good(error) else TroubleError
        raise kind(in_words(str(server), error)) from None
    return Connection(raw, server)


def like_sqlite(connection: Connection) -> sqlite3.Connection:
    """For the store's functions: it is used in no way but those that dialect.Connection has."""
    return cast("sqlite3.Connection", connection)


def commit(connection: Connection, who: str) -> None:
    """Tell the receivers, where something has changed."""
    connection.execute(
        "SELECT pg_notify(?, ?) WHERE pg_current_xact_id_if_assigned() IS NOT NULL",
        (connection.server.news, who),
    )
    connection.execute("COMMIT")


def version(connection: Connection) -> int | None:
    """Of the schema; None where there is none of ours."""
    there = connection.execute(
        "SELECT to_regclass(?) AS found", (f"{connection.server.schema}.version",)
    ).fetchone()
    if there is None or there["found"] is None:
        return None
    row = connection.execute("SELECT number FROM version").fetchone()
    return int(row["number"]) if row else None


def migrate(connection: Connection, name: str) -> None:
    """Bring the database up to date; several receivers may start at once. Raises StoreError."""
    if version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = version(connection) or 0
        _see_that_it_is_not_newer(found, name)
        if not found:
            connection.script(f"CREATE SCHEMA IF NOT EXISTS {connection.server.schema}")
            connection.script("CREATE TABLE version (number BIGINT NOT NULL)")
            connection.script("INSERT INTO version VALUES (0)")
        for number, file in enumerate(MIGRATIONS[found:], found + 1):
            text = resources.files("receiver.store.postgres").joinpath(file)
            connection.script(text.read_text(encoding="utf-8"))
            connection.execute("UPDATE version SET number = ?", (number,))
    except (sqlite3.Error, TroubleError) as error:
        if connection.broken:
            raise
        connection.execute("ROLLBACK")
        raise StoreError(
            f"{name}: its tables cannot be made: {error} (the user of DATABASE_URL needs CREATE on the database)"
        ) from error
    except StoreError:
        if not connection.broken:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _see_that_it_is_not_newer(found: int, name: str) -> None:
    if found > len(MIGRATIONS):
        raise StoreError(
            f"{name} has schema {found}, this release knows {len(MIGRATIONS)}: run the newer release everywhere, or restore a dump made before the upgrade"
        )
