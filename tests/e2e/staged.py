"""A stage with both stand-ins, for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import AppImages
from tests.real.daemons import Binaries
from tests.real.engine import DockerEngine
from tests.real.stage import WORKFLOW, Stage, set_stage
from tests.standins.discord import Discord
from tests.standins.github import GitHub


@contextmanager
def staged(
    engine: DockerEngine, binaries: Binaries, images: AppImages, directory: Path, alertmanagers: int
) -> Iterator[Stage]:
    with (
        Discord.in_thread() as discord,
        GitHub.in_thread([WORKFLOW]) as github,
        set_stage(
            engine,
            binaries,
            directory,
            images.v1,
            discord=discord,
            github=github,
            alertmanagers=alertmanagers,
        ) as stage,
    ):
        yield stage
