"""What is in BACKUP_DIR, as far as every room asks."""

from __future__ import annotations

from pathlib import Path


def newest_backup(directory: Path) -> float | None:
    """When the newest entry was made, as Unix time; None where there is none. Raises OSError where it cannot be seen."""
    try:
        modified = [
            entry.lstat().st_mtime
            for entry in directory.iterdir()
            if not entry.name.startswith(".")  # hidden: one that is still being written
        ]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return max(modified, default=None)
