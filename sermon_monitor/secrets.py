"""The secrets of the compose stack: made once, kept in a volume, shown when asked for."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

GENERATED = ("webhook_token", "board_token", "grafana_admin_password")
DISCORD = "discord_webhook_url"


def initialise(directory: Path, discord_webhook_url: str | None) -> list[str]:
    """Make each missing secret of GENERATED; hand Discord's URL to Alertmanager. Returns what changed.

    A secret that is there is never changed. Without a URL its file is taken away: Alertmanager
    then runs and logs each message that it could not send; with an empty file it would try again
    and again. The files are readable by all inside the volume: the readers run under other user
    ids, and nobody but them has the volume. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    changed = []
    for name in GENERATED:
        path = directory / name
        if not path.exists() or not path.read_text(encoding="utf-8").strip():
            _write(path, secrets.token_urlsafe(32))
            changed.append(name)
    url = directory / DISCORD
    present = url.read_text(encoding="utf-8").strip() if url.exists() else None
    if discord_webhook_url and present != discord_webhook_url:
        _write(url, discord_webhook_url)
        changed.append(DISCORD)
    if not discord_webhook_url and present is not None:
        url.unlink()
        changed.append(DISCORD)
    return changed


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
