"""``python -m tests.fire flood|soak [--seconds N]``: run it, print what it came to; exit code 1 where something must not be."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.fire.flood import Size, flood
from tests.fire.soak import soak


def main() -> None:
    parser = argparse.ArgumentParser(prog="make flood, make soak")
    parser.add_argument("what", choices=["flood", "soak"])
    parser.add_argument("--seconds", type=float, help="for how long (flood: 60, soak: 1800)")
    parser.add_argument("--slow", type=int, default=Size.slow, help="slow connections")
    given = parser.parse_args()
    began = time.monotonic()

    def tell(words: str) -> None:
        print(f"  {time.monotonic() - began:6.1f} s  {words}", flush=True)

    with tempfile.TemporaryDirectory(prefix="sermon-fire-") as name:
        if given.what == "flood":
            size = replace(Size(slow=given.slow), **({"seconds": given.seconds} if given.seconds else {}))  # fmt: skip
            lines, problems = _both(flood(Path(name), size, tell))
        else:
            lines, problems = _both(soak(Path(name), given.seconds or 1800.0, tell))
    print(*lines, sep="\n")
    print(*(f"✗ {problem}" for problem in problems), sep="\n")
    print("not well" if problems else "all is well")
    sys.exit(1 if problems else 0)


def _both(outcome: object) -> tuple[list[str], list[str]]:
    return list(outcome.lines()), list(outcome.problems())  # type: ignore[attr-defined] # both have both


if __name__ == "__main__":
    main()
