"""All settings of the process, read once at the edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from exporter.settings import ExporterSettings
from receiver.settings import ReceiverSettings
from target.rules import Thresholds
from target.settings import Room, SettingsError, read_settings


class ProcessSettings(Room):
    """How the process itself talks."""

    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(ExporterSettings, ReceiverSettings, Thresholds, ProcessSettings):
    """Every setting of every room; a room is handed this and knows only its own part."""


CONFIG = "SERMON_MONITOR_CONFIG"


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment and the file of ``--config`` or SERMON_MONITOR_CONFIG. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    if config is None and environ.get(CONFIG):
        config = Path(environ[CONFIG])
    return read_settings(Settings, environ, config)


__all__ = ["CONFIG", "ProcessSettings", "Settings", "SettingsError", "load"]
