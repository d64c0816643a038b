"""Many rows by few statements are the same rows."""

from __future__ import annotations

import sqlite3

import pytest

from receiver.store import bulk


@pytest.mark.parametrize("count", [0, 1, 3, 4, 21, 64, 100, 300])
def test_every_row_once_and_in_order(count: int) -> None:
    c = sqlite3.connect(":memory:")
    c.execute("CREATE TABLE made (id INTEGER PRIMARY KEY, word TEXT, number REAL)")
    statements: list[str] = []
    c.set_trace_callback(statements.append)
    rows = [(f"word {number}", float(number)) for number in range(count)]

    bulk.insert(c, "made", ("word", "number"), rows)

    told = [one for one in statements if one.startswith("INSERT")]
    assert len(told) <= count // 64 + 9, "few statements"
    assert c.execute("SELECT word, number FROM made ORDER BY id").fetchall() == rows
    c.close()
