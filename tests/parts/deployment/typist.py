"""Our commands as a person types them, by a process that has read everything in already.

Each is a fork of it: a process with an own terminal, environment and exit code. Spared is the second that
Python takes to start, and most of the seconds for which a thing that is well must stay so.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path

import click

import recovery.acts
import recovery.checks.endpoints
import recovery.cli
import recovery.run_rollback
import sermon_monitor.cli
from target.verify import Patience, healthy_now

PROGRAMS: dict[str, click.Command] = {
    "sermon-recovery": recovery.cli.main,
    "sermon-monitor": sermon_monitor.cli.main,
}
PROBE_SECONDS = 2.0
for _place in sermon_monitor.cli.COMMANDS.values():
    importlib.import_module(_place.partition(":")[0])  # which a command does only when it is called
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def typed(
    words: list[str], environment: dict[str, str], directory: Path, terminal: str, output: Path
) -> int:
    """Run ``words`` with the terminal of that name as its input; its exit code. What it says goes to ``output``."""
    fork = _FORKS.Process(target=_run, args=(words, environment, directory, terminal, output))
    fork.start()
    try:
        fork.join(240)
        assert fork.exitcode is not None, f"{' '.join(words)}: still at work"
        return fork.exitcode
    finally:
        fork.kill()
        fork.join()
        fork.close()


def _run(
    words: list[str], environment: dict[str, str], directory: Path, terminal: str, output: Path
) -> None:
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, file in ((0, os.open(terminal, os.O_RDWR)), (1, said), (2, said)):
        os.dup2(file, number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - as Python opens them
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    _hurry()
    PROGRAMS[words[0]](words[1:], prog_name=words[0])


def _hurry() -> None:
    recovery.acts.STEADY_SECONDS = 1.0
    recovery.acts.INTERVAL_SECONDS = 0.2
    recovery.checks.endpoints.PROBE_SECONDS = PROBE_SECONDS
    setattr(recovery.run_rollback, "Patience", partial(Patience, interval=0.2, stable=2.0))  # noqa: B010
    setattr(recovery.run_rollback, "healthy_now", partial(healthy_now, probes=1))  # noqa: B010
