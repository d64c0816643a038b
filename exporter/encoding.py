"""The answer's transfer: whether the caller takes gzip, and gzip itself."""

from __future__ import annotations

import re
from functools import lru_cache

from isal import isal_zlib

_LEVEL = 1
_GZIP_CONTAINER = 31
_LONGEST_HEADER = 1000
_WANTED = re.compile(r"\s*;\s*q\s*=\s*(?:1(?:\.0{0,3})?|0\.(?=\d{0,2}[1-9])\d{1,3})\s*|\s*", re.I)
"""What may follow a coding that is wanted: nothing, or a weight above 0 (RFC 9110, 12.4.2)."""


def gzip_wanted(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header asks for gzip by name (RFC 9110, 12.5.3).

    A weight of 0, or one that cannot be read, means no: the plain answer serves everybody.
    """
    return _gzip_wanted(accept_encoding[:_LONGEST_HEADER])


def compress(body: bytes) -> bytes:
    """``body`` as gzip: ISA-L's, with a quarter of the work of zlib's level 1 and a smaller result."""
    return isal_zlib.compress(body, _LEVEL, _GZIP_CONTAINER)


@lru_cache(maxsize=32)
def _gzip_wanted(header: str) -> bool:
    for part in header.split(","):
        coding, semicolon, weight = part.partition(";")
        if coding.strip().lower() in ("gzip", "x-gzip"):
            return _WANTED.fullmatch(semicolon + weight) is not None
    return False
