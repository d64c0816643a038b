"""``make demo``: the whole story on a real engine, Prometheus and Alertmanager; Discord and GitHub print what arrives."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from tests.real import daemons, images
from tests.real.debian import DebianError
from tests.real.engine import DockerEngine
from tests.real.scenes import bad_deploy_is_rolled_back, restart_cures
from tests.real.stage import FACTOR, WORKFLOW, Stage, set_stage
from tests.standins.discord import Discord
from tests.standins.github import GitHub
from tests.standins.terminal_card import print_card

console = Console()
_began = time.monotonic()


def tell(words: str) -> None:
    console.print(f"[dim]{time.monotonic() - _began:6.1f} s[/]  {words}", highlight=False)


def on_card(message: Any) -> None:
    """Discord got a message or an edit: print it as a person sees it."""
    tell("[magenta]Discord[/]")
    print_card(message, edited=bool(message.edits), console=console)


def on_dispatch(dispatch: Any) -> None:
    tell(f"[cyan]GitHub[/] gets a dispatch: {dict(dispatch.inputs)}")


def on_run(run: Any) -> None:
    tell(
        f"[cyan]GitHub[/] run {run.id} is {run.status}{f': {run.conclusion}' if run.conclusion else ''}"
    )
    if run.status == "completed" and run.log:
        words = [line for line in run.log.splitlines() if not line.startswith("{")]
        for line in words[-20:]:
            console.print(f"          [dim]{escape(line)}[/]", highlight=False)


@contextmanager
def _stage(alertmanagers: int) -> Iterator[tuple[Stage, images.AppImage, images.AppImage]]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sm-demo-")))
        tell(
            "starting a Docker Engine of our own, and making the images (the first time takes a minute)"
        )
        engine = DockerEngine(directory)
        stack.callback(engine.stop)
        engine.start()
        binaries = daemons.binaries()
        v1 = images.app_image(engine, "sermon-uploader:v1", revision="a1" * 20)
        v2 = images.app_image(engine, "sermon-uploader:v2", revision="b2" * 20, behaviour="broken")
        discord = stack.enter_context(Discord.in_thread())
        github = stack.enter_context(GitHub.in_thread([WORKFLOW]))
        discord.hook(on_card)
        github.hook("dispatch", on_dispatch)
        github.hook("run", on_run)
        tell(
            f"starting app, storage, sermon-monitor, Prometheus and {alertmanagers} Alertmanager(s); every duration is divided by {FACTOR}"
        )
        stage = stack.enter_context(
            set_stage(
                engine,
                binaries,
                directory,
                v1,
                discord=discord,
                github=github,
                alertmanagers=alertmanagers,
            )
        )
        yield stage, v1, v2


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument(
        "--alertmanagers",
        type=int,
        choices=(1, 2),
        default=1,
        help="two that know nothing of each other send everything twice",
    )
    parser.add_argument(
        "--kill",
        choices=("accepted", "dispatch"),
        help="kill -9 sermon-monitor right after it accepted a webhook, or between the dispatch and its record; it is started again, as Docker would",
    )
    parser.add_argument("--scene", type=int, choices=(1, 2), help="only this one")
    arguments = parser.parse_args()
    # Whoever ends the demo ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _stage(arguments.alertmanagers) as (stage, v1, v2):
            meanwhile = _killing(stage, arguments.kill)
            if arguments.scene != 2:
                console.rule("Scene 1: the app is stopped; a restart cures it")
                _ended(restart_cures(stage, tell, meanwhile=meanwhile))
            if arguments.scene != 1:
                console.rule("Scene 2: a bad deploy; a restart does not cure it; one rollback does")
                _ended(bad_deploy_is_rolled_back(stage, tell, v1, v2, meanwhile=meanwhile))
            tell(
                f"cards on Discord: {len(stage.cards)}; dispatches on GitHub: {len(stage.github.dispatches)}"
            )
    except DebianError as problem:
        console.print(f"[red]the demo needs what this machine does not have:[/] {problem}")
        return 1
    except AssertionError as problem:
        console.print(f"[red]the demo went wrong:[/] {problem}", markup=True, highlight=False)
        return 1
    return 0


def _killing(stage: Stage, when: str | None) -> Callable[[], None] | None:
    """What --kill asks for; the stage starts again whatever has died."""

    def kill(*_: object) -> None:
        tell("[red]kill -9[/] of sermon-monitor")
        stage.product.kill()

    stage.revive = when is not None
    if when == "dispatch":
        stage.github.hook("dispatch", kill)
    return kill if when == "accepted" else None


def _ended(incident: dict[str, Any]) -> None:
    took = (
        datetime.fromisoformat(incident["resolved_at"])
        - datetime.fromisoformat(incident["opened_at"])
    ).total_seconds()
    tell(
        f"[green]over[/] after {took:.0f} s ({datetime.now(UTC):%H:%M:%S} UTC): {incident['verdict']}"
    )


if __name__ == "__main__":
    sys.exit(main())
