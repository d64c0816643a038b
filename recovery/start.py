"""Where ``sermon-recovery`` begins.

It takes a moment to be read in, on a Pi more than one second: Ctrl-C within it ends it without a word.
"""

from __future__ import annotations

import signal


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from recovery.cli import main as verbs  # noqa: PLC0415 - that is the moment

    signal.signal(signal.SIGINT, signal.default_int_handler)
    verbs()
