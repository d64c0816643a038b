"""One thing that ``check`` has looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """``problem`` makes ``check`` fail; ``note`` is worth knowing. ``mend``: what to type or set."""

    level: Level
    what: str
    words: str
    mend: str = ""
