"""How the deployment is backed up: what the toolkit does by itself, and what it needs for the sermons."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from target.durations import Duration, parse_duration
from target.settings import Room

Count = Annotated[int, Field(ge=0, le=1000)]


class BackupSettings(Room):
    """Beside BACKUP_DIR, which the deployment has."""

    minio_access_key: SecretStr | None = None
    minio_secret_key: SecretStr | None = None
    """Where both are unset: as the deployment's own .env names them."""
    backup_key: SecretStr | None = None
    """Encrypts what is written; without it a backup may not go to a disk of another machine."""
    backup_keep_daily: Count = 7
    backup_keep_weekly: Count = 5
    backup_keep_monthly: Count = 12
    backup_fresh: Duration = parse_duration("1d")
    """An older backup is none to rely on before something is changed that cannot be undone."""
