"""BACKUP_DIR/.status.json: what the monitor may know of the backups, which it may not read. No secret is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recovery.backup.manifest import Manifest
from recovery.backup.shelf import newest, shelf
from recovery.steps import Hands
from target.backups import STATUS, Drill, read_status
from target.files import replace_text


def told(directory: Path, drill: Drill | None = None) -> None:
    """Write what is there now; ``drill`` where there was a new one. Raises OSError."""
    found = shelf(directory)
    last, data = newest(found), newest(found, data=True)
    former = read_status(directory)
    said: dict[str, Any] = {
        "newest": _row(last),
        "newest_with_data": _row(data),
        "drill": (drill or former.drill),
    }
    text = json.dumps(said, default=lambda value: value.model_dump(mode="json"), indent=2)
    path = directory / STATUS
    replace_text(path, text)
    path.chmod(0o644)


def drilled(directory: Path, *, ok: bool, words: str, name: str) -> None:
    told(directory, Drill(at=datetime.now(UTC).timestamp(), ok=ok, words=words, backup=name))


@dataclass(frozen=True)
class Tell:
    """Tell the monitor what is there now."""

    directory: Path

    def do(self, _: Hands) -> str:
        told(self.directory)
        return ""


def _row(manifest: Manifest | None) -> dict[str, Any] | None:
    if manifest is None:
        return None
    return {
        "name": manifest.name,
        "at": manifest.created_at.timestamp(),
        "bytes": manifest.bytes,
        "seconds": manifest.seconds,
        "objects": manifest.data.objects if manifest.data else 0,
    }
