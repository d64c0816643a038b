"""What must be the same before and after a look, a refusal and a dry run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from target.engine import Engine
from target.versions import OWN_IMAGES
from tests.real.engine import DockerEngine

KEPT = "kept"
"""Our own tags. A way back that was kept for a rollback which then was refused harms nobody."""
TMPFS_BYTES = 4 * 1024 * 1024
"""Size of the disk on which everything of the deployment lies."""


def fingerprint(client: Engine, engine: DockerEngine, disk: Path, sermon: Path) -> dict[str, Any]:
    """Containers, images, volumes, networks, what the volume holds, and every file with its time."""
    containers, images = client.containers(), client.images()
    return {
        "containers": sorted(
            (c.name, c.id, c.state, str(c.started_at), c.image_id) for c in containers
        ),
        "images": sorted((i.id, *_not_ours(i.tags)) for i in images),
        KEPT: sorted(tag for i in images for tag in i.tags if tag.startswith(OWN_IMAGES)),
        "volumes": sorted(v.name for v in engine.client.volumes.list()),
        "networks": sorted(str(n.id) for n in engine.client.networks.list()),
        "sermon": _file(sermon),
        "files": {
            str(path): _file(path) for path in sorted(disk.rglob("*")) if path.name != "filler"
        },
    }


def _not_ours(tags: tuple[str, ...]) -> list[str]:
    return [tag for tag in tags if not tag.startswith(OWN_IMAGES)]


def _file(path: Path) -> tuple[int, int, int, str]:
    """Mode, inode, time of change, content."""
    status = path.lstat()
    content = path.read_bytes() if path.is_file() and status.st_size < TMPFS_BYTES else b""
    return (status.st_mode, status.st_ino, status.st_mtime_ns, hashlib.sha256(content).hexdigest())
