"""One short question to the Engine from a thread, by the standard library alone.

The docker SDK, with requests and urllib3 behind it, is 6 MiB of a process that asks little: it is
loaded only for what takes long (see engine_sdk.py).
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_CHUNK = 65536


class UnreachableError(Exception):
    """Nobody answers there, or what answers speaks no HTTP. The words are the kind of trouble."""


class Answer(NamedTuple):
    """Its status, and what it says."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Raises UnreachableError where it is none: then it is no Engine."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise UnreachableError("an answer that is no JSON") from None

    def words(self) -> str:
        """The Engine's own message."""
        try:
            return str(json.loads(self.body)["message"])[:500]
        except (ValueError, LookupError, TypeError, RecursionError):
            return self.body[:500].decode(errors="replace").strip()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


def ask(
    host: str, method: str, path: str, query: Mapping[str, str] | None, timeout_seconds: float
) -> Answer:
    """One request on a connection of its own, within ``timeout_seconds`` in all. Raises UnreachableError."""
    target = f"{path}?{urlencode(query)}" if query else path
    deadline = time.monotonic() + timeout_seconds
    connection = _connection(host, timeout_seconds)
    try:
        connection.request(method, target, headers={"Connection": "close"})
        answer = connection.getresponse()
        return Answer(answer.status, _body(answer, deadline))
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(type(error).__name__) from error
    finally:
        connection.close()


def _body(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    body = bytearray()
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise UnreachableError("an answer without end")
        if time.monotonic() > deadline:
            raise UnreachableError("TimeoutError")
    return bytes(body)


def _connection(host: str, timeout: float) -> http.client.HTTPConnection:
    """For a DOCKER_HOST: unix://, http+unix://, tcp://, http://, https://. Raises UnreachableError."""
    scheme, _, rest = host.partition("://")
    if scheme in ("unix", "http+unix"):
        path = unquote(rest)
        return _UnixConnection(path if path.startswith("/") else "/" + path, timeout)
    try:
        parts = urlsplit(f"//{rest}")
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UnreachableError(f"DOCKER_HOST={host}") from error
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(name, port, timeout=timeout, context=context)
    return http.client.HTTPConnection(name, port, timeout=timeout)
