"""Refusals of a form body, in the two shapes that Discord prints. Pure.

Source: discord-api-docs, reference, "Error messages".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Problems:
    """Refusals by their path in the body."""

    found: list[tuple[tuple[str, ...], str, str]] = field(default_factory=list)

    def add(self, path: tuple[str, ...], code: str, message: str) -> None:
        self.found.append((path, code, message))

    def nested(self) -> dict[str, Any]:
        """As API v8 and newer print them: ``{"embeds": {"0": {"title": {"_errors": [...]}}}}``."""
        tree: dict[str, Any] = {}
        for path, code, message in self.found:
            node = tree
            for step in path:
                node = node.setdefault(step, {})
            node.setdefault("_errors", []).append({"code": code, "message": message})
        return tree

    def legacy(self) -> dict[str, list[str]]:
        """As the unversioned API (v6) prints them: lists of words by top-level field."""
        flat: dict[str, list[str]] = {}
        for path, _code, message in self.found:
            flat.setdefault(path[0] if path else "_misc", []).append(message)
        return flat
