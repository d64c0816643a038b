"""Which version a rollback goes to: what was asked for, or the last known good of the ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recovery.inputs import TAG
from target.deployment import DeployError, Deployment
from target.engine import Engine, EngineError, Image
from target.plan import Target
from target.versions import (
    OWN_IMAGES,
    Ledger,
    Release,
    last_known_good,
    repository_of,
    tag_for,
    tag_of,
)

SHORT = 7
"""Digits of a commit in an image's tag (docker/metadata-action, type=sha)."""
USUAL_BRANCHES = ("master", "main", "production")


@dataclass(frozen=True)
class Wanted:
    """What was typed; all None means: the last known good."""

    version: str | None = None
    commit: str | None = None
    image: str | None = None


def resolve(wanted: Wanted, deployment: Deployment, ledger: Ledger, engine: Engine) -> Target:
    """The target of a rollback. An image beats a version, and a version a commit; a commit given
    beside them must fit. Raises DeployError with words where there is none."""
    commit = (wanted.commit or "").lower()
    if wanted.image:
        return _named(wanted.image, ledger, deployment, commit)
    if wanted.version:
        return _version(wanted.version, deployment, ledger, commit)
    if commit:
        return _commit(commit, deployment, ledger, engine)
    return _known_good(deployment, ledger)


def _known_good(deployment: Deployment, ledger: Ledger) -> Target:
    now = deployment.running.image_id if deployment.running else ""
    release = last_known_good(ledger, deployment.service, now)
    if release is None:
        raise DeployError(
            f"no version of {deployment.service} other than the running one is known to be good; "
            "name one with --to-version, --to-commit or --to-image (`sermon-recovery versions` lists them)"
        )
    return Target.of_release(release)


def _version(version: str, deployment: Deployment, ledger: Ledger, commit: str) -> Target:
    repository = deployment.repository
    if version.startswith("sha256:"):
        release = next(
            (
                r
                for r in _releases(ledger, deployment)
                if version in (r.image_id, r.digest.partition("@")[2])
            ),
            None,
        )
        if release:
            return _with(Target.of_release(release), commit)
        return Target((f"{_known(repository)}@{version}", version), version, commit)
    if not TAG.fullmatch(version):
        return _named(version, ledger, deployment, commit)
    found = {
        release.image_id: release
        for release in _releases(ledger, deployment)
        if version in (release.tag, release.version)
    }
    if len(found) > 1:
        names = ", ".join(r.digest or r.image_id for r in found.values())
        raise DeployError(f"{version} was the name of {len(found)} images: name one of {names}")
    for release in found.values():
        return _with(Target.of_release(release), commit)
    return Target((f"{_known(repository)}:{version}",), version, commit)


def _commit(commit: str, deployment: Deployment, ledger: Ledger, engine: Engine) -> Target:
    releases = [r for r in _releases(ledger, deployment) if r.revision.lower().startswith(commit)]
    for release in releases:
        target = _with(Target.of_release(release), commit)
        return Target(
            (*target.references, *_tags(commit, deployment, ledger)), target.title, commit
        )
    local = [
        i
        for i in _images(engine)
        if _is_the_apps(i, deployment) and i.revision.lower().startswith(commit)
    ]
    if local:
        return Target((local[0].id,), f"commit {commit[:SHORT]}", commit)
    return Target(_tags(commit, deployment, ledger), f"commit {commit[:SHORT]}", commit)


def _tags(commit: str, deployment: Deployment, ledger: Ledger) -> tuple[str, ...]:
    """Where the commit's image may be in the registry: the branches seen so far come first."""
    repository = deployment.repository
    if not repository:
        return ()
    seen = [
        tag_of(deployment.image_now),
        *(release.tag for release in _releases(ledger, deployment)),
    ]
    branches = [
        match.group(1) for tag in seen if (match := re.fullmatch(r"(.+)-[0-9a-f]{7,40}", tag))
    ]
    names = dict.fromkeys([*branches, *USUAL_BRANCHES])
    return tuple(f"{repository}:{name}-{commit[:SHORT]}" for name in names)


def _named(reference: str, ledger: Ledger, deployment: Deployment, commit: str) -> Target:
    """A full reference; one that the ledger knows gets its other names too."""
    for release in _releases(ledger, deployment):
        if reference in (release.image_id, release.digest):
            target = _with(Target.of_release(release), commit)
            return Target((reference, *target.references), target.title, commit)
    return Target((reference,), reference, commit)


def _with(target: Target, commit: str) -> Target:
    return Target(target.references, target.title, commit)


def _releases(ledger: Ledger, deployment: Deployment) -> list[Release]:
    return [r for r in reversed(ledger.releases) if r.service == deployment.service]


def _images(engine: Engine) -> Sequence[Image]:
    try:
        return engine.images()
    except EngineError as error:
        raise DeployError(str(error)) from error


def _is_the_apps(image: Image, deployment: Deployment) -> bool:
    """Another service of the same repository of code carries the same commit: its images do not count."""
    ours = {f"{OWN_IMAGES}{kind}" for kind in ("known-good", "before-rollback")}
    for name in (*image.tags, *image.digests):
        if repository_of(name) == deployment.repository != "":
            return True
        if repository_of(name) in ours and tag_of(name).startswith(tag_for(deployment.service)):
            return True
    return False


def _known(repository: str) -> str:
    if not repository:
        raise DeployError(
            "the compose file does not tell which repository the app's images are from; "
            "name the whole image with --to-image"
        )
    return repository
