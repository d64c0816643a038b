"""What the body of a health endpoint must hold, besides the status being 2xx.

Not a regular expression: Python's are matched without letting any other thread run, and some take
hours on a hostile body of a few KiB. Pieces of text in their order are looked for once each.
"""

from __future__ import annotations

MAX_EXPECTED_CHARACTERS = 200
ANYTHING = "*"
_WHITE_SPACE = b" \t\r\n"


def checked(expected: str) -> str:
    """``expected`` as it is. Raises ValueError, in words, where nothing can be looked for with it."""
    if len(expected) > MAX_EXPECTED_CHARACTERS or (expected and not _pieces(expected)):
        raise ValueError(
            f"allowed: up to {MAX_EXPECTED_CHARACTERS} characters of text; {ANYTHING} stands for anything between"
        )
    return expected


def holds(body: bytes | bytearray, expected: str) -> bool:
    """Whether the pieces of ``expected`` between its ``*`` stand in ``body``, in their order.

    White space counts on neither side, so that JSON is the same however it is printed.
    """
    text, begin = body.translate(None, _WHITE_SPACE), 0
    for piece in _pieces(expected):
        found = text.find(piece, begin)
        if found < 0:
            return False
        begin = found + len(piece)
    return True


def _pieces(expected: str) -> list[bytes]:
    pieces = expected.encode(errors="surrogatepass").translate(None, _WHITE_SPACE).split(b"*")
    return [piece for piece in pieces if piece]
