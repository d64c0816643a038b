"""Every input of the corpora, and some thousand broken anew from them: no parser raises what it does not say."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import corpora
from tests.fuzz.targets import TARGETS

BROKEN_ANEW = 150


def test_every_target_has_its_corpus_and_every_corpus_its_target() -> None:
    assert {path.stem for path in corpora.CORPUS.glob("*.txt")} == set(TARGETS)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_corpus(name: str) -> None:
    inputs = corpora.read(name)
    assert inputs
    target, chance = TARGETS[name], random.Random(name)
    for one in inputs:
        assert len(one) <= corpora.LONGEST_BYTES
        target.try_one(one)
    target.try_one(b"")
    for _ in range(BROKEN_ANEW):
        target.try_one(broken(chance.choice(inputs), chance))


def broken(one: bytes, chance: random.Random) -> bytes:
    """A byte changed, some left out or doubled, or the end cut off."""
    data = bytearray(one)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at:at] = chance.randbytes(chance.randint(1, 3))
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 64)]
            case _:
                data[at : at + 1] = chance.choice(
                    (b"\0", b"\xff", b"9", b"-", b'"', b"\n", b"|", b"\\")
                )
    return bytes(data)
