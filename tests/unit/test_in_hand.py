"""What is in memory of what was sent has its bound, and is given back however it ends."""

from __future__ import annotations

import contextlib

import pytest

from receiver.hearing.in_hand import BusyError, InHand, Room
from receiver.seldom import EVERY_SECONDS, Seldom


def test_a_room_takes_as_much_as_it_holds() -> None:
    room = Room(10, bodies=2)
    with room.holding(6):
        with pytest.raises(BusyError), room.holding(5):
            pass
        with room.holding(4), pytest.raises(BusyError), room.holding(0):
            pass
    with room.holding(10):
        pass


def test_what_fails_gives_its_place_back() -> None:
    room = Room(10, bodies=1)
    for _ in range(3):
        with pytest.raises(LookupError), room.holding(10):
            raise LookupError


def test_whole_bodies_of_the_greatest_length_fit_by_fours() -> None:
    in_hand = InHand(100)
    body = b"x" * 100
    with contextlib.ExitStack() as four:
        for _ in range(4):
            four.enter_context(in_hand.whole(body))
        with pytest.raises(BusyError), in_hand.whole(b"x"):
            pass
    with in_hand.whole(b"x"):
        pass


def test_seldom_counts_what_it_keeps_back() -> None:
    now = 100.0
    seldom = Seldom(lambda: now)
    assert [seldom.due("a"), seldom.due("a"), seldom.due("b"), seldom.due("a")] == [
        0,
        None,
        0,
        None,
    ]
    now += EVERY_SECONDS
    assert [seldom.due("a"), seldom.due("a")] == [2, None]
