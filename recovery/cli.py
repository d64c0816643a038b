"""``sermon-recovery``: what a person, or the rollback workflow, runs on the machine of the deployment.

Exit codes: 0 done, 1 refused or unhealthy, 2 wrong usage.
"""

from __future__ import annotations

import io
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from recovery.options import Verbs
from recovery.verbs import VERBS


def _version() -> str:
    try:
        return version("sermon-monitor")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


@click.group(
    cls=Verbs,
    epilog="Example: sermon-recovery diagnose. At night: diagnose, then quick-fix, then rollback.",
)
@click.version_option(_version(), prog_name="sermon-recovery")
def main() -> None:
    """Put the Sermon Uploader right by hand, on its own machine.

    What changes something prints its plan first and asks; --dry-run prints it and changes nothing.
    """
    # A terminal that knows only ASCII, or a path that is no UTF-8, must not end a verb half-way.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


for verb in VERBS:
    main.add_command(verb.command)
