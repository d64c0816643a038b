"""The version ledger: which image ran when, and which was the last known good. Pure.

Releases stand in the order in which they were seen; "newest" means the last one, not the latest
clock reading, because a Pi without a battery boots with a clock that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime

from target.engine import KNOWN_GOOD, Image

OWN_IMAGES = "sermon-monitor/"
"""Our own local tags say nothing about a version."""
MOST_RELEASES = 1000
"""A ledger keeps this many; older ones are only counted."""

Verdict = Literal["unknown", "good", "bad"]


@dataclass(frozen=True)
class Facts:
    """What is known of an image when a container of it is first seen."""

    image: str
    """As the container was created: a tag, a digest or an id."""
    image_id: str
    digest: str = ""
    """``repo@sha256:…``, or empty where no registry gave one."""
    tag: str = ""
    revision: str = ""
    version: str = ""
    irreversible: bool = False
    """By its image's label."""


@dataclass(frozen=True)
class Release:
    """One image running as one service, from ``since`` to ``until`` (None: it still runs).

    ``good_since`` is when the present stretch of health began. ``verdict`` becomes good when that
    stretch is long enough, and bad when a rollback left this release. ``irreversible`` says that
    an older version cannot read what this one has written.
    """

    service: str
    image: str
    image_id: str
    digest: str
    tag: str
    revision: str
    version: str
    since: AwareDatetime
    until: AwareDatetime | None = None
    good_since: AwareDatetime | None = None
    verdict: Verdict = "unknown"
    irreversible: bool = False

    @property
    def title(self) -> str:
        """A name for people: ``v1.2 (1f0c9aa)``, ``pi5``, or the short image id."""
        name = self.version or self.tag or self.image_id.removeprefix("sha256:")[:12]
        return f"{name} ({self.revision[:7]})" if self.revision else name


@dataclass(frozen=True)
class Ledger:
    """All releases, oldest first, and how many were forgotten before the first of them."""

    releases: tuple[Release, ...] = ()
    forgotten: int = 0
    schema: int = 1


def facts_of(image: str, local: Image) -> Facts:
    """What the Engine knows of ``local``, for a container that was created from ``image``."""
    repository = repository_of(image)
    digests = sorted(local.digests, key=lambda digest: repository_of(digest) != repository)
    names = (image, *local.tags)
    tag = next((tag_of(n) for n in names if tag_of(n) and not n.startswith(OWN_IMAGES)), "")
    return Facts(
        image=image,
        image_id=local.id,
        digest=digests[0] if digests else "",
        tag=tag,
        revision=local.revision,
        version=local.version,
        irreversible=local.irreversible,
    )


def repository_of(reference: str) -> str:
    """``ghcr.io/a/b`` of ``ghcr.io/a/b:tag`` or ``ghcr.io/a/b@sha256:…``; empty for a bare image id."""
    name = reference.split("@", 1)[0]
    if re.fullmatch(r"sha256:[0-9a-f]+|[0-9a-f]{64}", name):
        return ""
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.split(":", 1)[0]


def tag_of(reference: str) -> str:
    """``tag`` of ``repo:tag``; empty for a digest, an id, or a name without a tag."""
    if "@" in reference or not repository_of(reference):
        return ""
    return reference.rpartition("/")[2].partition(":")[2]


def known_good_tag(service: str, image_id: str) -> str:
    """The tag, within the repository KNOWN_GOOD, that keeps this image of this service here."""
    return f"{tag_for(service)}-{image_id.removeprefix('sha256:')[:12]}"


def tag_for(service: str) -> str:
    """The name of a service as a part of an image tag."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", service)[:100].lstrip(".-") or "app"


def known_good_reference(service: str, image_id: str) -> str:
    return f"{KNOWN_GOOD}:{known_good_tag(service, image_id)}"


def running(ledger: Ledger, service: str) -> Release | None:
    """The release of ``service`` that was seen running last and has not been replaced."""
    return next((release for release in _newest(ledger, service) if release.until is None), None)


def observe(ledger: Ledger, service: str, facts: Facts, now: AwareDatetime) -> Ledger:
    """``service`` runs ``facts.image_id``. The image that ran already changes nothing: a recreated
    container is not a deployment."""
    former = running(ledger, service)
    if former and former.image_id == facts.image_id:
        return ledger
    if former:
        closed = replace(former, until=max(now, former.since))
        ledger = _put(ledger, former, closed)
    opened = Release(
        service=service,
        image=facts.image,
        image_id=facts.image_id,
        digest=facts.digest,
        tag=facts.tag,
        revision=facts.revision,
        version=facts.version,
        since=now,
        irreversible=_irreversible(ledger, service, facts),
    )
    return _bounded(replace(ledger, releases=(*ledger.releases, opened)))


def _irreversible(ledger: Ledger, service: str, facts: Facts) -> bool:
    """What a person has marked is on the image, and holds against its label when the image comes back."""
    before = (r for r in _newest(ledger, service) if r.image_id == facts.image_id)
    return next((release.irreversible for release in before), facts.irreversible)


def judge(
    ledger: Ledger, service: str, healthy: bool, now: AwareDatetime, good_after: timedelta
) -> Ledger:
    """Move the running release's clock: good after ``good_after`` of unbroken health; a dip restarts it.

    A release that has proved good stays good: that something ails it today does not make it a
    worse place to go back to. ``healthy`` includes that no critical alert is firing.
    """
    release = running(ledger, service)
    if release is None or release.verdict != "unknown":
        return ledger
    if not healthy:
        changed = replace(release, good_since=None)
    elif release.good_since is None or now < release.good_since:
        changed = replace(release, good_since=now)
    else:
        changed = release
    if changed.good_since is not None and now - changed.good_since >= good_after:
        changed = replace(changed, verdict="good")
    return ledger if changed == release else _put(ledger, release, changed)


def condemn(ledger: Ledger, service: str, image_id: str) -> Ledger:
    """A rollback left this image: it is no place to go back to, whatever it proved before."""
    release = next((r for r in _newest(ledger, service) if r.image_id == image_id), None)
    if release is None or release.verdict == "bad":
        return ledger
    return _put(ledger, release, replace(release, verdict="bad", good_since=None))


def mark(
    ledger: Ledger,
    service: str,
    image_id: str,
    *,
    verdict: Verdict | None = None,
    irreversible: bool | None = None,
) -> Ledger:
    """What a person knows of an image that ran as ``service``: every release of it says so from now on."""

    def marked(release: Release) -> Release:
        if release.service != service or release.image_id != image_id:
            return release
        told = release if verdict is None else replace(release, verdict=verdict, good_since=None)
        return told if irreversible is None else replace(told, irreversible=irreversible)

    return replace(ledger, releases=tuple(marked(release) for release in ledger.releases))


def matching(ledger: Ledger, service: str, wanted: str) -> tuple[Release, ...]:
    """The newest release of each image of ``service`` that ``wanted`` names: its version, tag, image,
    digest, or the beginning of its commit or image id (7 digits and more)."""
    found: dict[str, Release] = {}
    for release in _newest(ledger, service):
        beginnings = (release.revision.lower(), release.image_id.removeprefix("sha256:"))
        short = wanted.lower().removeprefix("sha256:")
        if wanted in (
            release.version,
            release.tag,
            release.image,
            release.digest,
            release.title,
        ) or _is_beginning(short, beginnings):
            found.setdefault(release.image_id, release)
    return tuple(found.values())


def _is_beginning(short: str, whole: tuple[str, ...]) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{7,64}", short)) and any(w.startswith(short) for w in whole)


def irreversible_since(
    ledger: Ledger, service: str, image_id: str, commit: str = ""
) -> Release | None:
    """The newest irreversible release that has run since the last release of the image ``image_id``, or
    of ``commit``; since ever where neither ran. That one itself may be irreversible: it reads its own data."""
    for release in _newest(ledger, service):
        if release.image_id == image_id or same_commit(release.revision, commit):
            return None
        if release.irreversible:
            return release
    return None


def bad_revisions(ledger: Ledger, service: str) -> tuple[str, ...]:
    """The commits whose latest verdict is bad."""
    decided: dict[str, Verdict] = {}
    for release in _newest(ledger, service):
        if release.revision and release.verdict != "unknown":
            decided.setdefault(release.revision, release.verdict)
    return tuple(revision for revision, verdict in decided.items() if verdict == "bad")


def same_commit(one: str, other: str) -> bool:
    """Whether two commits are the same, either of them perhaps shortened to 7 digits and more."""
    one, other = sorted((one.lower(), other.lower()), key=len)
    return len(one) >= 7 and other.startswith(one)


def known_good(ledger: Ledger, service: str) -> tuple[Release, ...]:
    """Releases that proved good, newest first, one an image. The latest verdict on an image counts."""
    decided: dict[str, Release] = {}
    for release in _newest(ledger, service):
        if release.verdict != "unknown":
            decided.setdefault(release.image_id, release)
    return tuple(release for release in decided.values() if release.verdict == "good")


def last_known_good(ledger: Ledger, service: str, other_than: str) -> Release | None:
    """The newest good release that is really another one than the image id ``other_than``.

    The same registry digest, or a rebuild of the same revision, is not another one.
    """
    present = next((r for r in _newest(ledger, service) if r.image_id == other_than), None)
    for release in known_good(ledger, service):
        if release.image_id == other_than:
            continue
        if present and release.digest and release.digest == present.digest:
            continue
        if present and release.revision and release.revision == present.revision:
            continue
        return release
    return None


def deployments(ledger: Ledger, service: str | None = None) -> tuple[Release, ...]:
    """Releases that replaced another one, oldest first. The first of a service was found, not deployed."""
    seen: set[str] = set()
    found = []
    for release in ledger.releases:
        if release.service in seen or ledger.forgotten:
            found.append(release)
        seen.add(release.service)
    return tuple(r for r in found if service is None or r.service == service)


def _newest(ledger: Ledger, service: str) -> Iterator[Release]:
    return (release for release in reversed(ledger.releases) if release.service == service)


def _put(ledger: Ledger, old: Release, new: Release) -> Ledger:
    return replace(
        ledger, releases=tuple(new if release is old else release for release in ledger.releases)
    )


def _bounded(ledger: Ledger) -> Ledger:
    """Forget the oldest finished release that no way back needs, once there are too many."""
    if len(ledger.releases) <= MOST_RELEASES:
        return ledger
    services = {release.service for release in ledger.releases}
    needed = [r for service in services for r in known_good(ledger, service)[:3]]
    for release in ledger.releases:
        if release.until is not None and release not in needed:
            kept = tuple(other for other in ledger.releases if other is not release)
            return replace(ledger, releases=kept, forgotten=ledger.forgotten + 1)
    return ledger
