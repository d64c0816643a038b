"""How far a log has been read is not forgotten over what is damaged."""

from __future__ import annotations

import pytest

from exporter.log_reader import LogReader, counters
from exporter.traffic import Traffic
from tests.unit.test_log_reader import Written, framed, stamp

TORN = (
    b'{"log":"x\\n","stream":"stdout","time":"2026-01-02T15:04:0\0\0\0',
    b'{"log":"x\\n","stream":"stdout","time":"2026-13-02T15:04:05Z"}',
    b'{"log":"x\\n","stream":"stdout","time":"2026-01-02T15:04:05Z"}\xff',
)


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_line_at_the_end_of_a_block_forgets_no_place(torn: bytes) -> None:
    whole = [b'{"log":"a line\\n","stream":"stdout","time":"%s"}' % stamp(n) for n in range(5)]
    traffic = Traffic()
    made = counters(traffic)
    reader = LogReader("one", 0, made)
    block = b"".join(line + b"\n" for line in (*whole, torn))
    reader.take_file(block)
    assert reader.last_nano == 1_767_366_245_000_000_002
    reader.resume()
    reader.take_file(b"".join(line + b"\n" for line in whole))
    made.settle()
    assert sum(traffic.lines.values()) == 6


def test_a_frame_without_a_stamp_at_the_end_forgets_no_place() -> None:
    reader = LogReader("one", 0, counters(Traffic()))
    odd = b"no stamp here, but as long as one and more\n"
    reader.take(
        framed([Written(1, b"a line")] * 4) + b"\1\0\0\0" + len(odd).to_bytes(4, "big") + odd
    )
    assert reader.last_nano == 1_767_366_245_000_000_001
