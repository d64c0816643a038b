"""What the C library keeps of memory that was freed: little, because a scrape's text is large and short-lived."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8
"""mallopt(3), <malloc.h> of glibc."""
MOST_KEPT_BYTES = 128 * 1024
"""At the end of the heap. It is glibc's default at the start, which else grows with the largest text that was freed."""


def keep_little() -> None:
    """One arena for all threads, and a fixed limit. Does nothing where the C library is not glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_ARENA_MAX, 1)
        library.mallopt(M_TRIM_THRESHOLD, MOST_KEPT_BYTES)


def give_back() -> None:
    """Return what is free inside the heap too: once, for it touches every page of it."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
