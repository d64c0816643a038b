"""Counts access lines by the block. What is not an access line of the most usual form is left to the exact parser.

A line is cut at its separators, as the exact parser's expression does it::

    09:15:02 | 200 |    123.456µs | 172.20.0.1 | GET | /api/health

Clock, address, and the triple of status, method and path are each validated once and remembered; a
line then costs one cut and three look-ups. The numbers are read together later, a route and unit at a
time; one that is not as plain as it looked is read exactly. What is remembered is bounded and forgotten
all at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from exporter.traffic import Traffic, unit
from target.access_log import LONGEST_SECONDS, Text, parse_duration, sign_of, without_colours
from target.routes import Route, route_of

MOST_REMEMBERED = 4096
"""Paths, and addresses: some hundred kB at most for the usual, 2 MB for hostile ones."""
MOST_CLOCKS = 512
LONGEST_BYTES = 256
"""Of a path, an address: longer ones are counted and not remembered."""
MOST_HELD = 16_384
"""Lines whose numbers wait to be read together."""
_CLOCK = rb"\d\d:\d\d:\d\d"
_ADDRESS = re.compile(rb"[^\s|\x1b\\]+")
_METHOD = re.compile(rb"[A-Z]+")
_NUMBER = re.compile(rb" *\d+(?:\.\d+)?(ns|us|\xc2\xb5s|\xce\xbcs|ms|s)")
_NOT_PLAIN = (b"\x1b", b"\\", b"\r")
"""Colours and a carriage return are taken off by the exact parser; a backslash may be JSON's escape."""
_UNITS = {
    b"ns": unit(1e-9, 1e9),
    b"us": unit(1e-6, 1e6),
    b"\xc2\xb5s": unit(1e-6, 1e6),
    b"\xce\xbcs": unit(1e-6, 1e6),
    b"ms": unit(1e-3, 1e3),
    b"s": unit(1.0, 1.0),
}

Hold = Callable[[bytes], None]
_Group = tuple[Route, int, bytes]


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
        self._from = body_at - len(before)
        self._clock = re.compile(re.escape(before) + _CLOCK)
        self._clocks: set[bytes] = set()
        self._addresses: set[bytes] = set()
        self._known: dict[tuple[bytes, bytes, bytes, bytes], Hold] = {}
        self._groups: dict[_Group, list[bytes]] = {}
        self._held = 0

    def count(self, lines: Sequence[bytes]) -> list[bytes]:
        """Count, now or with the next ``settle``; the lines that are not known, in their order."""
        clocks, addresses, known, unknown = self._clocks, self._addresses, self._known.get, []
        clock_from = self._from
        for line in lines:
            parts = line.split(b" | ", 5)
            if len(parts) == 6:
                clock, status, number, address, method, path = parts
                if clock[clock_from:] in clocks and address in addresses:
                    hold = known((status, method, path, number[-2:]))
                    if hold is not None:
                        hold(number)
                        continue
                if self._learn(parts):
                    continue
            unknown.append(line)
        self._held += len(lines) - len(unknown)
        if self._held > MOST_HELD:
            self.settle()
        return unknown

    def settle(self) -> None:
        """Read the numbers that wait: after this the traffic contains every line."""
        self._held = 0
        for (route, status, form), held in self._groups.items():
            if held:
                values = _values(held, form)
                if values is None:
                    self._one_by_one(held, (route, status, form))
                else:
                    self._traffic.add_requests(route, status, values, _UNITS[form])
                held.clear()

    def _learn(self, parts: list[bytes]) -> bool:
        """Whether the line is of the usual form: then it is counted and, unless it is long, remembered."""
        clock, status, number, address, method, path = parts
        clock = clock[self._from :]
        found = _NUMBER.fullmatch(number)
        if (
            found is None
            or len(status) != 3
            or not status.isdigit()
            or not self._clock.fullmatch(clock)
            or not _ADDRESS.fullmatch(address)
            or not _METHOD.fullmatch(method)
            or any(odd in path for odd in _NOT_PLAIN)
            # With an odd number it would be a damaged line, which tells of trouble by its end.
            or sign_of(path.rpartition(b" | ")[2])
        ):
            return False
        hold = self._group(status, method, path, found[1])
        hold(number)
        if len(path) + len(address) + len(method) <= LONGEST_BYTES:
            self._remember(clock, address, (status, method, path, number[-2:]), hold)
        return True

    def _remember(
        self, clock: bytes, address: bytes, key: tuple[bytes, bytes, bytes, bytes], hold: Hold
    ) -> None:
        if len(self._clocks) >= MOST_CLOCKS:
            self._clocks.clear()
        if len(self._addresses) >= MOST_REMEMBERED:
            self._addresses.clear()
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._clocks.add(clock)
        self._addresses.add(address)
        self._known[key] = hold

    def _group(self, status: bytes, method: bytes, path: bytes, form: bytes) -> Hold:
        """Where numbers of one route, status and unit wait: as many as there are routes, codes and units."""
        route = route_of(method[:32].decode(), path[:4096].decode(errors="replace"))
        return self._groups.setdefault((route, int(status), form), []).append

    def _one_by_one(self, held: list[bytes], group: _Group) -> None:
        """Among these a number is not plain."""
        route, status, form = group
        good: list[float] = []
        for number in held:
            values = _values([number], form)
            if values is None:
                self._exactly(number, route, status)
            else:
                good += values
        if good:
            self._traffic.add_requests(route, status, good, _UNITS[form])

    def _exactly(self, number: bytes, route: Route, status: int) -> None:
        """As the exact parser reads a line in which all but the number is as usual."""
        token = without_colours(self._decode(number)).lstrip(b" ")
        plain = token and not token.split()[1:] and token.strip() == token and b"|" not in token
        seconds = parse_duration(token.decode(errors="replace")) if plain else None
        if seconds is None:
            self._traffic.add("", Text("unparsable"))
        else:
            self._traffic.add_requests(route, status, [max(0.0, seconds)], _UNITS[b"s"])


def _values(numbers: list[bytes], form: bytes) -> list[float] | None:
    """The numbers without their unit ``form``; None if any is not a plain decimal one."""
    joined = b" %b " % b" ".join(numbers)
    bare = joined.replace(form + b" ", b" ")
    if bare.translate(None, b"0123456789. ") or b" ." in bare or b". " in bare:
        return None
    try:
        values = list(map(float, bare.decode("ascii").split()))
    except ValueError:
        return None
    # A unit without a number, two numbers before one unit, a blank between the two.
    if len(values) != len(numbers) or joined.count(form + b" ") != len(numbers):
        return None
    if b" " + form in joined:
        return None
    if max(values) * _UNITS[form].nanoseconds > LONGEST_SECONDS * 1e9:
        return None
    return values
