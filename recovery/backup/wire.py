"""The wire to MinIO: what is in a header is sent, and read, as the bytes that it is.

http.client takes header values for Latin-1. MinIO's client signs them as UTF-8, so that a file name with an
umlaut in it, which browsers and other clients store as UTF-8, would come back as something else, or be refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3


class Wire(urllib3.PoolManager):
    """For several threads at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._more = threading.local()

    @contextmanager
    def adding(self, headers: Mapping[str, str]) -> Iterator[None]:
        """With each request of this thread, unsigned: for what the client would send under another name."""
        self._more.headers = dict(headers)
        try:
            yield
        finally:
            self._more.headers = {}

    def urlopen(  # type: ignore[override] # as the class above has it
        self, method: str, url: str, redirect: bool = True, **more: Any
    ) -> urllib3.BaseHTTPResponse:
        headers = urllib3.HTTPHeaderDict()
        for given in (more.get("headers") or {}, getattr(self._more, "headers", {})):
            for name, value in given.items():
                headers.add(name, to_wire(value))
        more["headers"] = headers
        return super().urlopen(method, url, redirect, **more)


def to_wire(value: str) -> str:
    """The text that http.client, which takes it for Latin-1, sends as the UTF-8 of ``value``."""
    return value.encode().decode("latin-1")


def from_wire(value: str) -> str:
    """The reverse; what is no UTF-8 stays as http.client read it."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
