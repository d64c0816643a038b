"""Counts access lines by the block: those of the most usual form. Others are left to the exact parser.

Clock, status and latency stand in columns, for the latency is aligned::

    09:15:02 | 200 |    123.456µs | 172.20.0.1 | GET | /api/health
            └───┬───┘           └───────────────┬────────────────┘
              status                      unit and request

What is the same in many lines, the status and all from the unit on, is a key: whether it belongs to a
line of the usual form is found out once and remembered. A block is then looked up without a step of
Python a line. The numbers are read together later, a route and unit at a time; a line whose number is
not as plain as it looked is read exactly. What is remembered is bounded and forgotten all at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import compress
from operator import itemgetter

from exporter.log_layout import MOST_REMEMBERED, Hold, Key, Layout
from exporter.traffic import Traffic, unit
from target.access_log import LONGEST_SECONDS, parse_line, sign_of
from target.routes import Route, route_of

LONGEST_BYTES = 256
"""Of a key: longer ones are left to the exact parser."""
_CLOCK = rb"\d\d:\d\d:\d\d"
_STATUS_FROM, _STATUS_TO = 8, 17
"""With the separators around it."""
_NUMBER_FROM, _UNIT_FROM = 17, 28
_STATUS = re.compile(rb" \| (\d{3}) \| ")
# A number of seconds has one column more: its last digit is part of the key.
_REQUEST = re.compile(
    rb"(ns|us|\xc2\xb5s|\xce\xbcs|ms|\ds) \| [^\s|\x1b\\]+ \| ([A-Z]+) \| (.*)", re.DOTALL
)
_NUMBER = re.compile(rb" *\d+(?:\.\d+)?")
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
_Group = tuple[Route, int, bytes]


class AccessLines:
    """Knows access lines of one layout, of whatever container."""

    def __init__(self, traffic: Traffic, layout: Layout) -> None:
        self._traffic = traffic
        self._layout = layout
        at = layout.body_at
        self._status = slice(at + _STATUS_FROM, at + _STATUS_TO)
        self._key_of = itemgetter(
            self._status,
            slice(at + _UNIT_FROM, -layout.end_bytes or None),
            *([slice(len(layout.first))] if layout.first else []),
        )
        self._clock_of = itemgetter(slice(at - len(layout.before), at + _STATUS_FROM))
        self._clock = re.compile(re.escape(layout.before) + _CLOCK)
        self._number_from = at + _NUMBER_FROM
        self.number_of = itemgetter(slice(self._number_from, at + _UNIT_FROM))
        """What a line gives its hold."""
        self._known: dict[Key, Hold] = {}
        self._groups: dict[_Group, list[bytes]] = {}
        self._samples: dict[_Group, bytes] = {}
        """A line of each group: with another number it is any other, as far as it is counted."""

    def recognise(self, lines: Sequence[bytes]) -> list[Hold | None]:
        """For each line where it would be held; None for those that are not known. Counts nothing."""
        holds = list(map(self._known.get, map(self._key_of, lines)))
        clocks = set(map(self._clock_of, compress(lines, holds)))
        if all(map(self._clock.fullmatch, clocks)):
            return holds
        sound = [self._clock.fullmatch(self._clock_of(line)) for line in lines]
        return [hold if one else None for hold, one in zip(holds, sound, strict=True)]

    def learn(self, line: bytes) -> bool:
        """Whether the line is of the usual form: then its number is held, and its key remembered."""
        if line[self._status.start :][:3] != b" | ":
            return False
        found = self._read(line)
        if found is None:
            return False
        hold = self._hold(found, line)
        hold(self.number_of(line))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[self._key_of(line)] = hold
        return True

    def settle(self) -> None:
        """Read the numbers that wait: after this the traffic contains every line that was held."""
        for group, numbers in self._groups.items():
            if numbers:
                route, status, form = group
                values = _values(numbers, form)
                if values is None:
                    self._one_by_one(numbers, self._samples[group])
                else:
                    self._traffic.add_requests(route, status, values, _UNITS[form])
                numbers.clear()

    def _hold(self, group: _Group, line: bytes) -> Hold:
        append = self._groups.setdefault(group, []).append
        self._samples.setdefault(group, line)
        if group[2] != b"s":
            return append
        unit_at = self._layout.body_at + _UNIT_FROM
        last_digit = line[unit_at : unit_at + 1]
        return lambda number: append(number + last_digit)

    def _read(self, line: bytes) -> _Group | None:
        """The route, status and unit of a line of the usual form: there are as many as routes, codes and units."""
        layout, unit_at = self._layout, self._layout.body_at + _UNIT_FROM
        end = line.find(layout.after, layout.body_at) if layout.after else len(line)
        status = _STATUS.fullmatch(line, self._status.start, self._status.stop)
        if not status or not 0 <= end <= unit_at + LONGEST_BYTES:
            return None
        request = _REQUEST.fullmatch(line, unit_at, end)
        if (
            request is None
            or not line.startswith(layout.first)
            or not self._clock.fullmatch(self._clock_of(line))
            or any(odd in request[3] for odd in _NOT_PLAIN)
            # With an odd number it would be a damaged line, which tells of trouble by its end.
            or sign_of(request[3].rpartition(b" | ")[2])
        ):
            return None
        form = request[1] if request[1] in _UNITS else b"s"
        if not _NUMBER.fullmatch(line, self._number_from, unit_at + (form == b"s")):
            return None
        route = route_of(request[2][:32].decode(), request[3].decode(errors="replace"))
        return route, int(status[1]), form

    def _one_by_one(self, numbers: Sequence[bytes], sample: bytes) -> None:
        """Among these one is not plain."""
        before, at = sample[: self._number_from], self._number_from
        for number in numbers:
            line = before + number + sample[at + len(number) :]
            self._traffic.add("", parse_line(self._layout.body(line)))


def _values(numbers: list[bytes], form: bytes) -> list[float] | None:
    """The numbers, in the unit ``form`` and all of one width; None if any is not a plain decimal one behind blanks."""
    joined, every = b"\n".join(numbers), len(numbers[0]) + 1
    if joined.translate(None, b"0123456789. \n") or len(joined) != len(numbers) * every - 1:
        return None
    # Digits around a point: at the numbers' ends, at their beginnings, and behind the blanks.
    if not joined[every - 2 :: every].isdigit() or b"." in joined[::every] or b" ." in joined:
        return None
    try:
        values = list(map(float, numbers))
    except ValueError:  # a blank or a second point inside
        return None
    if max(values) * _UNITS[form].nanoseconds > LONGEST_SECONDS * 1e9:
        return None
    return values
