"""What a collector is made from."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.settings import ExporterSettings
from target.discovery import Discovery
from target.engine import Engine


@dataclass(frozen=True)
class Context:
    """Where things are, and the one connection to the Engine that all share."""

    settings: ExporterSettings
    engine: Engine
    discovery: Discovery
