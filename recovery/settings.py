"""What the toolkit reads, beside where the deployment is.

Lenient on purpose: a Discord address that is none must not keep a person from an emergency stop, so what
only one check needs is judged by that check.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from target.backup_settings import BackupSettings
from target.settings import DeploymentSettings


class RecoverySettings(DeploymentSettings, BackupSettings):
    """The names and defaults are those of the monitor's own settings."""

    discord_webhook_url: SecretStr | None = None
    github_repo: str | None = None
    github_api_url: str = "https://api.github.com"
    proc_root: Path = Path("/proc")
    rootfs: Path = Path("/")
    cgroup_root: Path = Path("/sys/fs/cgroup")
    database_url: SecretStr | None = None

    @property
    def database_path(self) -> Path | None:
        """The monitor's own store; None where it is no file, but in PostgreSQL, which pg_dump saves."""
        if self.database_url is None:
            return self.state_dir / "receiver.sqlite3"
        scheme, _, path = self.database_url.get_secret_value().partition(":///")
        return Path(path) if scheme == "sqlite" else None
