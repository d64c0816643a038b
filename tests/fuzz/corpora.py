"""The corpora: a file a target, an input a line in base64. Small: what reaches other branches than all the others do."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
LONGEST_BYTES, MOST = 2048, 150


def read(name: str) -> list[bytes]:
    text = (CORPUS / f"{name}.txt").read_text(encoding="ascii")
    return [base64.b64decode(line, validate=True) for line in text.split()]


def write(name: str, inputs: Iterable[bytes]) -> None:
    """The shortest of them."""
    chosen = sorted({one for one in inputs if len(one) <= LONGEST_BYTES}, key=lambda one: (len(one), one))[:MOST]  # fmt: skip
    CORPUS.mkdir(exist_ok=True)
    lines = [base64.b64encode(one).decode() or "=" for one in chosen if one]
    (CORPUS / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
