"""The answer to one GET, taken as its bytes arrive: status, where it redirects to, the body. Does no I/O.

Strict where a lenient reader could be led on, and bounded: an answer costs at most its two limits.
Source: RFC 9112 (HTTP/1.1), the sections named below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024
_MAX_RAW_BYTES = 4 * MAX_BODY_BYTES
"""Of a chunked body with its framing: chunks of one byte cost six."""
_MAX_LINE_BYTES = 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NO_BODY = (204, 304)


class NotHttpError(ValueError):
    """What came is no HTTP answer."""


class BrokenBodyError(ValueError):
    """The head was good and the body is not framed as it says."""


class Answer:
    """Fed with bytes until ``done``; then ``body`` is whole, or its first 64 KiB."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.location = ""
        """Where a redirect leads, as it came; empty where it does not say."""
        self.body = bytearray()
        self.done = False
        self._head = bytearray()
        self._raw = bytearray()
        self._raw_bytes = 0
        self._left: int | None = None
        """Of the body, or of the present chunk; None: until the connection ends."""
        self._chunked = False
        self._after_chunk = False

    def feed(self, data: bytes) -> None:
        """Raises NotHttpError or BrokenBodyError."""
        if self.status is None:
            data = self._take_head(data)
        if self.status is not None and not self.done:
            self._take_body(data)

    def end(self) -> None:
        """The connection has ended. Raises as ``feed`` does where the answer has not."""
        if self.status is None:
            raise NotHttpError("it ended before its head did")
        if self._left is not None and not self.done:
            raise BrokenBodyError("it broke off")
        self.done = True

    def _take_head(self, data: bytes) -> bytes:
        """What follows the head, once that is whole. An interim answer (15.2 of RFC 9110) is passed over."""
        seen = max(0, len(self._head) - 3)
        self._head += data
        _is_http_so_far(self._head)
        while end := _HEAD_END.search(self._head, seen):
            lines = re.split(rb"\r?\n", bytes(self._head[: end.start()]))
            rest = bytes(self._head[end.end() :])
            status = _status(lines[0])
            if status >= 200:
                self._begin(status, _fields(lines[1:]))
                return rest
            self._raw_bytes += end.end()
            del self._head[: end.end()]
            seen = 0
            _is_http_so_far(self._head)
        if self._raw_bytes + len(self._head) > MAX_HEAD_BYTES:
            raise NotHttpError(f"its head is longer than {MAX_HEAD_BYTES} bytes")
        return b""

    def _begin(self, status: int, fields: Mapping[str, str]) -> None:
        """How long the body is: RFC 9112, 6.3."""
        encoding = fields.get("transfer-encoding", "").lower()
        if encoding not in ("", "chunked", "identity"):
            raise NotHttpError("a transfer encoding that was not asked for")
        self._chunked = encoding == "chunked"
        if self._chunked:
            self._left = 0
        elif "content-length" in fields:
            self._left = _length(fields["content-length"])
        self._head.clear()
        self._raw_bytes = 0
        self.location = fields.get("location", "")
        self.status = status
        self.done = status in _NO_BODY or (self._left == 0 and not self._chunked)

    def _take_body(self, data: bytes) -> None:
        if self._chunked:
            self._take_chunks(data)
        else:
            self._keep(data if self._left is None else data[: self._left])
            if self._left is not None:
                self._left = max(0, self._left - len(data))
                self.done = self.done or self._left == 0

    def _take_chunks(self, data: bytes) -> None:
        """RFC 9112, 7.1. The last chunk ends the body: its trailers are nothing to us."""
        self._raw_bytes += len(data)
        self._raw += data
        while not self.done and self._raw:
            if self._left:
                piece = bytes(self._raw[: self._left])
                del self._raw[: len(piece)]
                self._left -= len(piece)
                self._after_chunk = self._left == 0
                self._keep(piece)
            elif not self._take_chunk_line():
                break
        if not self.done and self._raw_bytes > _MAX_RAW_BYTES:
            raise BrokenBodyError("its framing has no end")

    def _take_chunk_line(self) -> bool:
        """The line before a chunk, and the one that ends the chunk before it; False: not here yet."""
        end = self._raw.find(b"\n", 0, _MAX_LINE_BYTES)
        if end < 0:
            if len(self._raw) >= _MAX_LINE_BYTES:
                raise BrokenBodyError("a chunk's line has no end")
            return False
        line = bytes(self._raw[:end]).removesuffix(b"\r")
        del self._raw[: end + 1]
        if self._after_chunk:
            if line:
                raise BrokenBodyError("a chunk is longer than it says")
            self._after_chunk = False
            return True
        size = re.fullmatch(rb"([0-9A-Fa-f]{1,16})[ \t]*(;.*)?", line)
        if size is None:
            raise BrokenBodyError("a chunk without its size")
        self._left = int(size[1], 16)
        self.done = self._left == 0
        return True

    def _keep(self, data: bytes) -> None:
        self.body += data[: MAX_BODY_BYTES - len(self.body)]
        self.done = self.done or len(self.body) == MAX_BODY_BYTES


def _is_http_so_far(head: bytearray) -> None:
    """What does not begin as HTTP does is not waited for to the end."""
    if not b"HTTP/1.".startswith(head[:7]):
        raise NotHttpError("what it says is not HTTP")


def _status(line: bytes) -> int:
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise NotHttpError("its first line is not HTTP's")
    return int(found[1])


def _fields(lines: list[bytes]) -> dict[str, str]:
    """The header fields by name in small letters. One that is there twice must say the same."""
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise NotHttpError("a header line that is none")
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        twice = key in ("content-length", "transfer-encoding") and fields.get(key, text) != text
        if twice:
            raise NotHttpError(f"two different {key}")
        fields[key] = text
    return fields


def _length(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise NotHttpError("a length that is no number")
    return int(text)
