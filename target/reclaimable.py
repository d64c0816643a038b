"""Which images may go when the disk is full. Pure.

Never one that a container is of, that the compose files name, that ran or proved good lately, or that
keeps a way back; and never one of somebody else's that has a name: only old versions of the
application, and what has no name at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from target.engine import Container
from target.versions import OWN_IMAGES, Ledger, known_good, repository_of, running

KEPT_GOOD = 3
"""Good versions of each service that stay, besides the one that runs."""


@dataclass(frozen=True)
class Reclaimable:
    """An image that nothing needs."""

    id: str
    names: tuple[str, ...]
    """Its tags and digests; empty for one without a name."""
    bytes: int
    """What it takes alone, as far as the Engine knows: what it shares with others stays."""


def reclaimable(
    images: Iterable[Mapping[str, Any]],
    containers: Iterable[Container],
    ledger: Ledger,
    named: Collection[str],
    repositories: Collection[str],
) -> tuple[Reclaimable, ...]:
    """``images`` as the Engine's ``/system/df`` lists them, ``containers`` all of the machine, ``named``
    the ids and references that the compose files name, ``repositories`` those of the application."""
    needed = {c.image_id for c in containers} | {*named} | set(_of_ledger(ledger))
    found = []
    for image in images:
        names = _names(image)
        ours = any(repository_of(name) in repositories for name in names)
        keeps = any(name.startswith(OWN_IMAGES) for name in names)
        used = image.get("Containers", 0) > 0 or str(image.get("Id")) in needed
        if used or keeps or needed & {*names} or not (ours or not names):
            continue
        found.append(Reclaimable(str(image.get("Id")), names, unique_bytes(image)))
    return tuple(sorted(found, key=lambda one: -one.bytes))


def unique_bytes(image: Mapping[str, Any]) -> int:
    """What no other image shares, where the Engine says so (it writes -1 where it has not looked)."""
    return max(0, int(image.get("Size", 0)) - max(0, int(image.get("SharedSize", 0))))


def _of_ledger(ledger: Ledger) -> Iterator[str]:
    for service in {release.service for release in ledger.releases}:
        if now := running(ledger, service):
            yield now.image_id
        for release in known_good(ledger, service)[:KEPT_GOOD]:
            yield release.image_id


def _names(image: Mapping[str, Any]) -> tuple[str, ...]:
    names = [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]
    return tuple(str(name) for name in names if not str(name).startswith("<none>"))
