"""What a receiver has around it: the deployment, and Discord and GitHub in the stand-ins' place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.chaos.deployment import APP, MINIO, Clock, Deployment, endpoints
from tests.standins.discord import Discord
from tests.standins.github import REPOSITORY, GitHub

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "rollback.yml"


class Surroundings(NamedTuple):
    deployment: Deployment
    discord: Discord
    github: GitHub
    settings: dict[str, str]
    """That lead a receiver to all of it."""


@asynccontextmanager
async def surroundings(
    directory: Path, repository: str = REPOSITORY
) -> AsyncIterator[Surroundings]:
    """All of it started; the ledger of versions is below ``directory``, in ``state``."""
    (directory / "state").mkdir(parents=True)
    deployment = Deployment(directory, Clock(directory / "clock"))
    async with AsyncExitStack() as stack:
        discord = await stack.enter_async_context(Discord(rate_limit=(1000, 1.0)))
        github = await stack.enter_async_context(GitHub([WORKFLOW], repository=repository))
        await stack.enter_async_context(deployment.serving())
        app, minio = await stack.enter_async_context(endpoints(deployment))
        settings = {
            "APP_URL": app,
            "MINIO_URL": minio,
            "APP_SERVICE": APP,
            "MINIO_SERVICE": MINIO,
            "DOCKER_HOST": deployment.host,
            "DISCORD_WEBHOOK_URL": discord.url,
            "GITHUB_TOKEN": github.token,
            "GITHUB_REPO": github.repository,
            "GITHUB_API_URL": github.base_url,
        }
        yield Surroundings(deployment, discord, github, settings)
