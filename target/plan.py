"""A change of the deployment that has been looked at and not begun: where to go, and by which steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from target.compose_file import restore
from target.deployment import DeployError, Deployment
from target.engine import Container, Engine, EngineError, Image
from target.settings import DeploymentSettings
from target.versions import OWN_IMAGES, Release, known_good_reference, repository_of, tag_for

BEFORE_ROLLBACK = "sermon-monitor/before-rollback"
"""Repository of the local tags that keep what a rollback replaced."""


@dataclass(frozen=True)
class Target:
    """Where to go: the references are tried in order, here first and then by a pull."""

    references: tuple[str, ...]
    title: str
    revision: str = ""
    """When given, an image that says it is of another commit is refused."""

    @classmethod
    def of_release(cls, release: Release) -> Target:
        """A release of the ledger: by its id or its known-good tag where it is here, else by its digest."""
        kept = known_good_reference(release.service, release.image_id)
        return cls(tuple(filter(None, (release.image_id, kept, release.digest))), release.title)


@dataclass(frozen=True)
class Begun:
    """What there was before a change began: enough to put it back, also for who comes after a crash."""

    former_image_id: str
    """Empty where nothing ran."""
    written: str
    """The image in the compose file, with its quotes."""
    original: str | None
    """What an earlier pin had replaced."""


@dataclass(frozen=True)
class Plan:
    """A change that has been looked at and not begun; or, with ``resumed``, one that was begun and cut off."""

    settings: DeploymentSettings
    engine: Engine = field(repr=False)
    deployment: Deployment = field(repr=False)
    target: Target
    local: Image | None
    """The target where it is here already; None means that it is pulled first."""
    reason: str = ""
    correlation_id: str = ""
    resumed: Begun | None = None

    @property
    def before(self) -> Begun:
        """To be remembered before anything is changed."""
        image = self.deployment.image
        return self.resumed or Begun(
            self.former.image_id if self.former else "", image.written, image.original
        )

    @property
    def text_before(self) -> str:
        """The compose file as it was before the change began."""
        before = self.before
        return restore(
            self.deployment.text, self.deployment.service, before.written, before.original
        )

    @property
    def former(self) -> Container | None:
        return self.deployment.running

    @property
    def already(self) -> bool:
        """The target runs: there is nothing to do."""
        return bool(self.local and self.former and self.former.image_id == self.local.id)

    @property
    def health_url(self) -> str:
        if self._of_storage:
            return f"{self.settings.minio_url}{self.settings.minio_health_path}"
        return f"{self.settings.app_url}{self.settings.app_health_path}"

    @property
    def health_body(self) -> str:
        """What the answer must hold."""
        return (
            self.settings.minio_health_body if self._of_storage else self.settings.app_health_body
        )

    @property
    def _of_storage(self) -> bool:
        """It is MinIO's service and not the application's too."""
        names = {self.deployment.service, *(one.name for one in self.deployment.containers)}
        storage, app = set(self.settings.minio_service), set(self.settings.app_service)
        return bool(names & storage) and not names & app

    def lines(self) -> list[str]:
        """What will be done, for a person."""
        return _lines(self)


@dataclass(frozen=True)
class Outcome:
    """How a change ended. ``put_back``: it failed, and what ran before runs again. ``broken``: not even that."""

    status: Literal["done", "put_back", "broken"]
    words: str
    service: str
    image: str
    """What the compose file names now."""
    image_id: str
    """What runs now, as far as is known."""
    former_image_id: str

    @property
    def done(self) -> bool:
        return self.status == "done"


def plan_rollback(
    settings: DeploymentSettings,
    engine: Engine,
    deployment: Deployment,
    target: Target,
    reason: str = "",
    correlation_id: str = "",
    resumed: Begun | None = None,
) -> Plan:
    """Look at everything that can be looked at beforehand. Raises DeployError."""
    local = None
    for reference in target.references:
        try:
            local = engine.image(reference)
            break
        except EngineError as error:
            if not error.missing:
                raise DeployError(str(error), may_return=True) from error
    if local is None and not pullable(target):
        raise DeployError(
            f"{target.title}: the image is no longer on this machine, and no registry name of it is known"
        )
    if local:
        same_revision(local, target)
    return Plan(settings, engine, deployment, target, local, reason, correlation_id, resumed)


def pullable(target: Target) -> list[str]:
    """Our own tags and bare ids are in no registry."""
    return [
        reference
        for reference in target.references
        if repository_of(reference) and not reference.startswith(OWN_IMAGES)
    ]


def same_revision(image: Image, target: Target) -> None:
    """Raises DeployError where the image says that it is of another commit than the one asked for."""
    if target.revision and image.revision:
        said, asked = image.revision.lower(), target.revision.lower()
        if not (said.startswith(asked) or asked.startswith(said)):
            raise DeployError(
                f"{target.title} says that it is of commit {image.revision[:12]}, not {asked[:12]}"
            )


def before_reference(service: str) -> str:
    """The local tag that keeps what the last rollback of ``service`` replaced."""
    return f"{BEFORE_ROLLBACK}:{tag_for(service)}"


def _lines(plan: Plan) -> list[str]:
    deployment, former, local = plan.deployment, plan.former, plan.local
    runs = f"{former.image} ({former.image_id[7:19]}, {former.state})" if former else "nothing"
    bring = (
        f"use the local image {local.id[7:19]}"
        if local
        else f"pull {' or '.join(pullable(plan.target))}, before anything is stopped"
    )
    by = "its digest" if local is None or local.digests else "a local tag of its own"
    steps = [
        bring,
        f"keep what runs as {before_reference(deployment.service)}",
        f"line {deployment.image.line} of {deployment.file}: image: {deployment.image.written} becomes "
        f"the target by {by}; a copy goes to {plan.settings.backup_dir}",
        f"docker compose up -d --no-deps --no-build --pull never {deployment.service}",
        f"verify: the container runs that image, is not unhealthy, and {plan.health_url} answers 2xx",
        "if not: put back the file and what runs now",
    ]
    return [
        f"service {deployment.service} of project {deployment.project}",
        f"runs {runs}",
        f"goes to {plan.target.title}",
        *(f"note: {note}" for note in deployment.notes),
        *(f"{number}. {step}" for number, step in enumerate(steps, 1)),
    ]
