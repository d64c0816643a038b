"""All settings of the process, read once at the edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from exporter.settings import ExporterSettings
from receiver.settings import ReceiverSettings
from target.backup_settings import BackupSettings
from target.rules import Thresholds
from target.settings import Room, SettingsError, read_settings, split_address


class ProcessSettings(Room):
    """How the process itself talks, and how it is reached."""

    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    web_config_file: Path | None = None


class Settings(ExporterSettings, ReceiverSettings, Thresholds, BackupSettings, ProcessSettings):
    """Every setting of every room; a room is handed this and knows only its own part."""

    @model_validator(mode="after")
    def _two_places(self) -> Settings:
        places = {_place(self.exporter_listen), _place(self.receiver_listen)}
        if len(places) == 1 and split_address(self.exporter_listen)[1]:  # port 0 is any free one
            raise ValueError(
                f"EXPORTER_LISTEN={self.exporter_listen} is RECEIVER_LISTEN too: allowed: two different HOST:PORT"
            )
        return self


def _place(address: str) -> tuple[str, int]:
    host, port = split_address(address)
    return "127.0.0.1" if host == "localhost" else host, port


CONFIG = "SERMON_MONITOR_CONFIG"
NEEDS = {
    "GITHUB_WEBHOOK_SECRET": "GITHUB_TOKEN",
    "GITHUB_TOKEN_EXPIRES": "GITHUB_TOKEN",
}
"""What does nothing without another setting; ``check`` and the start say so."""


def without_effect(settings: Settings) -> list[str]:
    """Each name of NEEDS that is set without what it needs, with that."""
    given = {name for name in {*NEEDS, *NEEDS.values()} if getattr(settings, name.lower())}
    return [f"{one} (without {other})" for one, other in NEEDS.items() if one in given and other not in given]  # fmt: skip


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment and the file of ``--config`` or SERMON_MONITOR_CONFIG. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    if config is None and environ.get(CONFIG):
        config = Path(environ[CONFIG])
    return read_settings(Settings, environ, config)


__all__ = [
    "CONFIG",
    "NEEDS",
    "ProcessSettings",
    "Settings",
    "SettingsError",
    "load",
    "without_effect",
]
