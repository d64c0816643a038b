"""Counts access lines by the block. What is not an access line of the most usual form is left to the exact parser.

Fiber aligns the latency to 13 characters, so that in a line without colours everything stands in fixed
columns up to the latency's unit::

    09:15:02 | 200 |    123.456µs | 172.20.0.1 | GET | /api/health
    head^^^^^^^^^^^^number^^^^^^^rest^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

A head and a rest that the exact parser has once read mean the same again whatever number stands between
them, so both are remembered, and a line costs two look-ups. The numbers are read together later: a
number that is none sends its line to the exact parser. What is remembered is bounded and forgotten all
at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from exporter.access_log import LONGEST_SECONDS, STDOUT, Access, parse_line, sign_of
from exporter.routes import Route, route_of
from exporter.traffic import Traffic, Unit, unit

MOST_REMEMBERED = 4096
"""Heads, and rests: some hundred kB at most for the usual, 2 MB for hostile ones."""
LONGEST_REST_BYTES = 256
MOST_HELD = 1024
"""Lines whose numbers wait to be read together."""
_HEAD = re.compile(rb"\d\d:\d\d:\d\d \| (\d{3}) \| ")
_HEAD_BYTES = 17
_NUMBER_BYTES = 11
_NUMBER = re.compile(rb" *\d+(?:\.\d+)?")
# No escape (the parser takes colours out) and no backslash (JSON's escapes): the rest means what it says.
_REST = re.compile(
    rb"(ms|ns|us|\xc2\xb5s|\xce\xbcs|\ds) \| [^\s|\x1b\\]+ \| [A-Z]+ \| [^\x1b\\]*", re.DOTALL
)
_MICRO = unit(1e-6, 1e6)
_SECOND = unit(1.0, 1.0)
_UNITS = {
    b"ns": unit(1e-9, 1e9),
    b"us": _MICRO,
    b"\xc2\xb5s": _MICRO,
    b"\xce\xbcs": _MICRO,
    b"ms": unit(1e-3, 1e3),
}

Held = list[bytes]
Hold = Callable[[bytes], None]
_Key = tuple[Route, int, Unit, int]


class BlockCounter:
    """Counts the lines of one layout, of whatever container: those it knows; the others it gives back."""

    def __init__(
        self,
        traffic: Traffic,
        before: bytes,
        body_at: int,
        decode: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """In each line the body begins at ``body_at``, and right before it stands ``before``.

        ``decode`` makes a body's bytes from what stands in the line.
        """
        self._traffic = traffic
        self._decode = decode
        self._before = before
        self._from = body_at - len(before)
        self._at = body_at
        self._heads: dict[bytes, dict[bytes, Hold]] = {}
        self._by_status: dict[int, dict[bytes, Hold]] = {}
        self._held: dict[_Key, Held] = {}
        self._remembered = self._lines_held = 0

    def count(self, lines: Sequence[bytes]) -> list[bytes]:
        """Count, now or with the next ``settle``; the lines that are not known, in their order."""
        heads, unknown = self._heads, []
        head_from, head_to = self._from, self._at + _HEAD_BYTES
        rest_from = head_to + _NUMBER_BYTES
        for line in lines:
            try:
                heads[line[head_from:head_to]][line[rest_from:]](line)
            except KeyError:
                unknown.append(line)
        self._lines_held += len(lines) - len(unknown)
        if self._lines_held > MOST_HELD:
            self.settle()
        return unknown

    def learn(self, line: bytes, access: Access) -> None:
        """Remember a line of stdout that the exact parser has read as ``access``."""
        body = line[self._at :]
        number_to = _HEAD_BYTES + _NUMBER_BYTES
        number, rest = body[_HEAD_BYTES:number_to], body[number_to:]
        if len(rest) > LONGEST_REST_BYTES or line[self._from : self._at] != self._before:
            return
        head, form = _HEAD.fullmatch(body[:_HEAD_BYTES]), _REST.fullmatch(rest)
        if not head or not form or not _number(number, form[1]):
            return
        # An odd number makes the line a damaged one, which tells of trouble by what stands at its end.
        if sign_of(rest.rpartition(b" | ")[2]):
            return
        if self._remembered >= MOST_REMEMBERED or len(self._heads) >= MOST_REMEMBERED:
            self._forget()
        status = int(head[1])
        rests = self._by_status.setdefault(status, {})
        self._heads[line[self._from : self._at + _HEAD_BYTES]] = rests
        if rest not in rests:
            rests[rest] = self._hold(route_of(access.method, access.path), status, form[1])
            self._remembered += 1

    def settle(self) -> None:
        """Read the numbers that wait: after this the traffic contains every line."""
        self._lines_held = 0
        for (route, status, one, digits), held in self._held.items():
            if held:
                number_from = self._at + _HEAD_BYTES
                number_to = number_from + _NUMBER_BYTES + digits
                values = _values([line[number_from:number_to] for line in held], one)
                if values is None:
                    self._one_by_one(held, number_from, number_to, (route, status, one))
                else:
                    self._traffic.add_requests(route, status, values, one)
                held.clear()

    def _one_by_one(
        self, held: Held, number_from: int, number_to: int, known: tuple[Route, int, Unit]
    ) -> None:
        """Among these a number is none."""
        good = []
        for line in held:
            values = _values([line[number_from:number_to]], known[2])
            if values is None:
                # Whose container's line it is makes no difference without a sign.
                self._traffic.add("", parse_line(self._decode(line[self._at :]), STDOUT))
            else:
                good += values
        if good:
            self._traffic.add_requests(known[0], known[1], good, known[2])

    def _hold(self, route: Route, status: int, form: bytes) -> Hold:
        """A digit before the ``s`` of seconds belongs to the number."""
        key = (route, status, _UNITS.get(form, _SECOND), 0 if form in _UNITS else 1)
        return self._held.setdefault(key, []).append

    def _forget(self) -> None:
        self.settle()
        for known in (self._heads, self._by_status, self._held):
            known.clear()
        self._remembered = 0


def _number(number: bytes, form: bytes) -> bool:
    whole = number if form in _UNITS else number + form[:1]
    return _NUMBER.fullmatch(whole) is not None


def _values(numbers: list[bytes], one: Unit) -> list[float] | None:
    """The numbers, each aligned to the right with blanks; None if any is not a plain decimal one."""
    joined = b" %b " % b" ".join(numbers)
    if joined.translate(None, b"0123456789. ") or b" ." in joined or b". " in joined:
        return None
    try:
        values = list(map(float, numbers))
    except ValueError:
        return None
    if max(values) * one.nanoseconds > LONGEST_SECONDS * 1e9:
        return None
    return values
