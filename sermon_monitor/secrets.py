"""The secrets of the compose stack: made once, kept in a volume, shown when asked for."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

GENERATED = ("webhook_token", "board_token", "grafana_admin_password")
DISCORD = "discord_webhook_url"
NOWHERE = "http://127.0.0.1:9/api/webhooks/0/not-configured"
"""Alertmanager will not start on an empty URL file; here a second path that is not set up ends."""


def initialise(directory: Path, discord_webhook_url: str | None) -> list[str]:
    """Make each missing secret of GENERATED; write Discord's URL for Alertmanager. Returns what was made.

    A secret that is there is never changed. The files are readable by all inside the volume: the
    readers run under other user ids, and nobody but them has the volume. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for name in GENERATED:
        path = directory / name
        if not path.exists() or not path.read_text(encoding="utf-8").strip():
            _write(path, secrets.token_urlsafe(32))
            made.append(name)
    url = directory / DISCORD
    wanted = discord_webhook_url or NOWHERE
    if not url.exists() or url.read_text(encoding="utf-8").strip() != wanted:
        _write(url, wanted)
        made.append(DISCORD)
    return made


def shown(directory: Path) -> dict[str, str]:
    """The generated secrets, for the person who set the stack up. Raises OSError."""
    return {name: (directory / name).read_text(encoding="utf-8").strip() for name in GENERATED}


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a reader that starts meanwhile must not see half a secret."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, 0o444)
        file.write(text)
        file.flush()
        os.fsync(handle)
    draft.replace(path)
