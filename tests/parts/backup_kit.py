"""A deployment's files, a real S3 server behind a line that can be cut, and the verbs as a person types them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import socketserver
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from click.testing import CliRunner
from minio import Minio
from minio.commonconfig import Tags

from recovery.backup.manifest import MANIFEST, as_sealed, read_manifest
from recovery.cli import main
from tests.real.storage import PASSWORD, USER, Storage

COMPOSE = "services:\n  backend: {image: 'sermon-uploader:v1'}\n"
ENV = f"MINIO_ROOT_USER={USER}\nMINIO_ROOT_PASSWORD='{PASSWORD}'\nSECRET=hunter2\n"
ACCESS = {"MINIO_ACCESS_KEY": USER, "MINIO_SECRET_KEY": PASSWORD}
ODD = (
    *("a b.wav", "ünï/ço dé ☦.wav", "per%20cent%.wav", "plus+and&amp=?#.wav", "quote'\".wav"),
    *("dir/inside", " lead and trail ", "x" * 200 + "/" + "y" * 200, "new\nline", "tab\t"),
    *("semi;colon:*|<>", "emoji😀", "..hidden..", "tilde~", "-rf", "manifest.json", "$(reboot)"),
    *(".hidden", ".../dots", "e\u0301", "\u00e9", "zero\u200bwidth", "%2F", "&lt;", "\x7f", "\x01"),
    *("folder/", "ü" * 127, "z" * 255),
    "/".join(["y" * 250] * 4),
)
"""What the server at hand holds. It folds // and backslashes itself, holds 255 bytes between two slashes and nothing
under a name that ends in one, and loses one of a and a/b at times; the client has no . and .. between them."""
BROWSERS = {
    "Content-Type": "audio/wav",
    "Content-Disposition": 'attachment; filename="Predigt für ☦.wav"',
    "Content-Language": "de, el",
    "Expires": "Wed, 01 Dec 2027 16:00:00 GMT",
}


@dataclass
class Place:
    """``env``: what a verb sees."""

    root: Path
    url: str
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (self.project, self.state):
            path.mkdir(parents=True)
        (self.project / "docker-compose.yml").write_text(COMPOSE)
        (self.project / ".env").write_text(ENV)
        (self.project / ".env").chmod(0o600)
        (self.state / "versions.json").write_text('{"schema_version": 1, "releases": []}')
        self.incidents(3)

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def store(self) -> Path:
        return self.state / "receiver.sqlite3"

    @property
    def env(self) -> dict[str, str]:
        return {
            "COMPOSE_PROJECT_DIR": str(self.project),
            "BACKUP_DIR": str(self.backups),
            "STATE_DIR": str(self.state),
            "MINIO_URL": self.url,
            "DOCKER_HOST": f"unix://{self.root}/none.sock",
            "PATH": os.environ["PATH"],
            **self.extra,
        }

    def incidents(self, count: int) -> None:
        with sqlite3.connect(self.store) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS incidents (id INTEGER)")
            connection.executemany("INSERT INTO incidents VALUES (?)", [(n,) for n in range(count)])
        connection.close()

    def stored(self) -> int:
        connection = sqlite3.connect(self.store)
        try:
            return int(connection.execute("SELECT count(*) FROM incidents").fetchone()[0])
        finally:
            connection.close()

    def verb(self, *words: str | Path, code: int = 0, env: Mapping[str, str] | None = None) -> Any:
        """What a verb prints with --json; the exit code must be ``code``."""
        done = CliRunner().invoke(
            main, [*map(str, words), "--json"], env=self.env | dict(env or {})
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    def dated(self, name: str, at: datetime) -> None:
        """As if that backup, which is not encrypted, had been made then."""
        folder = self.backups / name
        manifest = read_manifest(folder).model_copy(update={"created_at": at})
        (folder / MANIFEST).write_text(as_sealed(manifest, None))

    def names(self) -> list[str]:
        """Of the backups, the newest first; each can be used."""
        return [one["name"] for one in self.verb("backup-list")["backups"]]

    def whole(self) -> list[str]:
        """The same, each verified."""
        names = self.names()
        for name in names:
            self.verb("backup-verify", name)
        return names


def put(client: Minio, bucket: str, key: str, content: bytes, **more: Any) -> None:
    client.put_object(bucket, key, io.BytesIO(content), len(content), **more)


def put_raw(client: Minio, bucket: str, key: str, headers: Mapping[str, str]) -> None:
    """As a browser does: what is in a header is UTF-8. MinIO's client would not send it so."""
    url = urlsplit(client.presigned_put_object(bucket, key))
    with closing(HTTPConnection(url.netloc, timeout=30)) as connection:
        raw = {name: value.encode() for name, value in headers.items()}
        connection.request("PUT", f"{url.path}?{url.query}", b"raw", headers=raw)
        assert connection.getresponse().status == 200


def fill(client: Minio, bucket: str, count: int, large: int = 0) -> None:
    """``count`` objects: odd names, empty ones, metadata and tags; and one of ``large`` bytes."""
    client.make_bucket(bucket)
    tags = Tags.new_object_tags()
    tags["speaker"] = "Rev. A"

    def one(number: int) -> None:
        name = ODD[number] if number < len(ODD) else f"2026/{number % 7}/sermon {number}.wav"
        empty = number % 40 == 30 or name.endswith("/")
        content = b"" if empty else f"{number} ".encode() * (number % 900)
        more: dict[str, Any] = {"content_type": "audio/wav"}
        if number % 3 == 0:
            more["metadata"] = {
                "x-amz-meta-Speaker": f"Rev {number}",
                "Cache-Control": "max-age=60",
            }
        if number % 50 == 0:
            more["tags"] = tags
        if number == 5:  # stored as it is: nobody may unpack it
            more["metadata"] = {"Content-Encoding": "gzip"}
        put(client, bucket, name, content, **more)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(count)))
    put_raw(client, bucket, ODD[1], BROWSERS)  # over the one that is there
    if large:
        put(client, bucket, "large.wav", os.urandom(1 << 20) * (large >> 20), part_size=16 << 20)


def seen(client: Minio, bucket: str) -> dict[str, tuple[str, int, dict[str, str], dict[str, str]]]:
    """Of each object: checksum, length, metadata, tags."""

    def one(key: str) -> tuple[str, int, dict[str, str], dict[str, str]]:
        answer: Any = client.get_object(bucket, key)
        try:
            digest, count = hashlib.sha256(), 0
            for chunk in answer.stream(1 << 20, decode_content=False):
                digest.update(chunk)
                count += len(chunk)
            told = {k.lower(): v for k, v in answer.headers.items()}
        finally:
            answer.close()
            answer.release_conn()
        names = ("cache-control", "expires", *(n for n in told if n.startswith("content-")))
        unsaid = ("content-length",)
        headers = {
            k: v
            for k, v in told.items()
            if (k in names or k.startswith("x-amz-meta-")) and k not in unsaid
        }
        return digest.hexdigest(), count, headers, dict(client.get_object_tags(bucket, key) or {})

    keys = [str(one.object_name) for one in client.list_objects(bucket, recursive=True)]
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(keys, pool.map(one, keys), strict=True))


def clear(client: Minio) -> None:
    """No bucket is left."""
    for bucket in client.list_buckets():
        for one in client.list_objects(bucket.name, recursive=True):
            client.remove_object(bucket.name, str(one.object_name))
        client.remove_bucket(bucket.name)


class Line(socketserver.ThreadingTCPServer):
    """Between a client and the server; after ``most`` bytes it is dead, as a server that died."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, storage: Storage, most: int) -> None:
        self.target, self.left = ("127.0.0.1", storage.port), most
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Through)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def passed(self, count: int) -> None:
        """Whoever waits for an answer when it dies sees the end of the connection."""
        self.left -= count
        if self.left <= 0:
            for one in list(self.open):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class _Through(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        line = self.server
        assert isinstance(line, Line)
        if line.left <= 0:
            return
        with socket.create_connection(line.target) as there, suppress(OSError):
            line.open |= {self.request, there}
            threading.Thread(target=_pump, args=(line, self.request, there), daemon=True).start()
            while line.left > 0 and (data := there.recv(65536)):
                self.request.sendall(data)
                line.passed(len(data))


def _pump(line: Line, source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while line.left > 0 and (data := source.recv(65536)):
            target.sendall(data)
            line.passed(len(data))
        target.close()


@contextmanager
def line(storage: Storage, most: int) -> Iterator[Line]:
    with Line(storage, most) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
