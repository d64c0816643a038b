"""Where a rollback goes: the ledger's last known good version, else the last one that GitHub says was deployed well."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from receiver.github.client import GitHub
from receiver.github.preflight import ENVIRONMENT
from receiver.settings import ReceiverSettings
from receiver.telling.delivery import DeliveryError
from receiver.verify import Confirmer
from target import roles, versions
from target.engine import Container, EngineError
from target.version_keeper import LedgerFile
from target.versions import Ledger, Release, same_commit

LEDGER = "versions.json"


@dataclass(frozen=True)
class RollbackTarget:
    """The release to go back to, or only its commit, or why there is none; and the container that runs."""

    running: Container | None
    words: str
    release: Release | None = None
    commit: str = ""
    may_return: bool = False
    """Who would know does not answer right now."""
    elsewhere: bool = False
    """The ledger is sound and knows no good version: GitHub's deployments may."""
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def known(self) -> bool:
        return bool(self.release or self.commit)


class WayBack:
    """Looks; changes nothing but the mark on a version that was left (``condemn``)."""

    def __init__(
        self, settings: ReceiverSettings, confirmer: Confirmer, github: GitHub | None
    ) -> None:
        self._settings = settings
        self._confirmer = confirmer
        self._github = github
        self._file = LedgerFile(settings.state_dir / LEDGER)

    async def find(self, of: str = "app") -> RollbackTarget:
        """Both places, in their order. ``of``: a step's target, ``app`` or ``minio``."""
        try:
            containers = await self._confirmer.containers()
        except EngineError as error:
            return RollbackTarget(None, str(error), may_return=True)
        found = await self.remembered(containers, of)
        return await self.deployed(found) if found.elsewhere else found

    async def remembered(self, containers: Sequence[Container], of: str = "app") -> RollbackTarget:
        """The ledger's last known good release other than the one that runs."""
        mine = roles.of_target(containers, of, self._settings)
        if not mine:
            words = f"no container of {of.upper()}_SERVICE is there to be rolled back"
            return RollbackTarget(None, words)
        current = mine[0]
        try:
            ledger, problem = await asyncio.to_thread(self._file.read)
        except OSError as error:
            problem = f"the version ledger cannot be read: {error.strerror or error}"
        if problem:
            return RollbackTarget(current, problem)
        try:
            barred = await self._barred(ledger, current)
        except EngineError as error:
            return RollbackTarget(current, str(error), may_return=True)
        good = versions.last_known_good(ledger, current.service, current.image_id)
        barred = barred or _in_between(ledger, current.service, good)
        if barred:
            return RollbackTarget(current, barred)
        if good is None:
            words = (
                f"the ledger knows no good version of {current.service} other than the running one"
            )
            # What GitHub deploys is the application.
            elsewhere = self._github is not None and of == "app"
            return RollbackTarget(current, words, elsewhere=elsewhere, ledger=ledger)
        return RollbackTarget(current, f"{good.title} was the last known good version", good)

    async def deployed(self, found: RollbackTarget) -> RollbackTarget:
        """The newest successful deployment of another commit than the one that runs, and was not found bad."""
        if self._github is None or found.running is None:
            return found
        try:
            commit, words = await self._deployed(self._github, found.ledger, found.running)
        except (DeliveryError, EngineError) as error:
            again = not (isinstance(error, DeliveryError) and error.permanent)
            words = f"{found.words}; GitHub's deployments: {error}"
            return replace(found, words=words, may_return=again)
        if not commit:
            return replace(found, words=f"{found.words}; {words}")
        barred = _in_between(found.ledger, found.running.service, None, commit)
        return replace(found, words=barred or words, commit="" if barred else commit)

    async def _deployed(
        self, github: GitHub, ledger: Ledger, running: Container
    ) -> tuple[str, str]:
        """Its commit, and the words for it; no commit where there is none."""
        revision = (await self._confirmer.image(running.image_id)).revision
        if not revision:
            return (
                "",
                "the running image does not say its commit, so GitHub's deployments cannot be held against it",
            )
        bad = versions.bad_revisions(ledger, running.service)
        return await _newest_success(github, (revision, *bad))

    async def changed_at(self, service: str) -> datetime | None:
        """When the image of a service last took over from another; None where that was never seen. Raises OSError."""
        ledger, _ = await asyncio.to_thread(self._file.read)
        changes = versions.deployments(ledger, service)
        return changes[-1].since if changes else None

    async def condemn(self, service: str, image_id: str) -> str:
        """A rollback left this image: never go back to it. What went wrong, in words; else empty."""
        try:
            await asyncio.to_thread(
                self._file.update, lambda ledger: versions.condemn(ledger, service, image_id)
            )
        except OSError as error:
            return f" (the ledger could not be marked: {error.strerror})"
        return ""

    async def _barred(self, ledger: Ledger, current: Container) -> str:
        """The running version is marked irreversible. The ledger may not have seen it yet: then its image is asked."""
        here = versions.running(ledger, current.service)
        if here and here.image_id == current.image_id:
            return _irreversible_words(here.title) if here.irreversible else ""
        image = await self._confirmer.image(current.image_id)
        return _irreversible_words(image.version or current.image) if image.irreversible else ""


def _in_between(ledger: Ledger, service: str, good: Release | None, commit: str = "") -> str:
    """A version that ran after the one to go back to may have written what that one cannot read."""
    later = versions.irreversible_since(ledger, service, good.image_id if good else "", commit)
    return _irreversible_words(later.title) if later else ""


def _irreversible_words(title: str) -> str:
    return f"{title} is marked irreversible: no version older than it may follow it by itself"


async def _newest_success(github: GitHub, other_than: Sequence[str]) -> tuple[str, str]:
    """Its commit, and the words for it; no commit where there is none. Raises DeliveryError."""
    deployments = await github.deployments(ENVIRONMENT)
    if deployments is None:
        return "", "the token may not see GitHub's deployments (Deployments: read)"
    forgotten = 0
    for deployment in deployments:
        if any(same_commit(deployment.sha, other) for other in other_than):
            continue
        statuses = await github.deployment_statuses(deployment.id)
        forgotten += not statuses
        if any(status.state == "success" for status in statuses):
            when = f"{deployment.created_at:%Y-%m-%d}"
            return (
                deployment.sha,
                f"{deployment.sha[:7]} is the newest version that GitHub says was deployed well ({when})",
            )
    gone = (
        f" ({forgotten} are so old that GitHub has forgotten how they ended)" if forgotten else ""
    )
    return "", f"GitHub knows no other version that was deployed well{gone}"
