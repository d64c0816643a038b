"""``install-workflow`` and ``install-units``: what goes where, and nothing changed is overwritten unsaid."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sermon_monitor import shipped
from target.files import replace_text

SYSTEM_UNITS = Path("/etc/systemd/system")
SYSUSERS_DIR = Path("/etc/sysusers.d")
SETTINGS_FILE = Path("/etc/sermon-uploader/health-monitor.conf")
UNIT_NAME = "sermon-uploader-health-monitor.service"
"""The guide's name; sermon-monitor is its alias."""
_SHIPPED_COMMAND = "/opt/sermon-monitor/.venv/bin/sermon-monitor"
_SHIPPED_RECOVERY = "/opt/sermon-monitor/.venv/bin/sermon-recovery"
MAX_BYTES = 1024 * 1024

State = Literal["new", "same", "differs", "kept"]


class RefusedError(Exception):
    """Nothing was written; the words say why."""


@dataclass(frozen=True)
class Piece:
    """One file to be put in place. ``theirs``: once it is there it is the user's own, whatever it says."""

    path: Path
    text: str
    mode: int = 0o644
    theirs: bool = False


@dataclass(frozen=True)
class Look:
    """A piece and what stands in its place now."""

    piece: Piece
    state: State
    diff: str = ""


def workflow_pieces(repository: Path) -> list[Piece]:
    """For the application's repository. The example has an ending that GitHub does not run. Raises RefusedError."""
    if not (repository / ".git").exists():
        raise RefusedError(
            f"{repository} is no checkout of a repository (there is no .git): "
            "name the application's, where its docker-compose files are"
        )
    workflows = repository / ".github" / "workflows"
    example = Path(shipped.DEPLOY).name + ".example"
    return [
        Piece(workflows / "rollback.yml", shipped.shipped(shipped.ROLLBACK)),
        Piece(workflows / example, shipped.shipped(shipped.DEPLOY)),
    ]


def unit_pieces(directory: Path | None, *, user: bool) -> list[Piece]:
    """The unit, and beside the default directory what it needs: its user and its settings."""
    text = shipped.shipped(shipped.USER_UNIT if user else shipped.UNIT)
    text = text.replace(_SHIPPED_COMMAND, str(_command()))
    if directory is not None:
        return [Piece(directory / UNIT_NAME, text)]
    if user:
        home = _user_config()
        settings = home / "sermon-uploader" / SETTINGS_FILE.name
        return [Piece(home / "systemd" / "user" / UNIT_NAME, text), _settings_piece(settings)]
    sysusers = Piece(SYSUSERS_DIR / "sermon-monitor.conf", shipped.shipped(shipped.SYSUSERS))
    former = SYSTEM_UNITS / "sermon-monitor.service"
    if former.exists() and not former.is_symlink():
        raise RefusedError(
            f"{former} is a unit of its own, and two of them would watch one deployment. First: "
            f"sudo systemctl disable --now sermon-monitor; sudo rm {former}"
        )
    own = [Piece(SYSTEM_UNITS / UNIT_NAME, text), sysusers, _settings_piece(SETTINGS_FILE)]
    return [*own, *_timers()]


def _timers() -> list[Piece]:
    """The daily backup and the monthly drill; nothing starts them until somebody enables their timers."""
    recovery = str(_command().with_name("sermon-recovery"))
    return [
        Piece(
            SYSTEM_UNITS / Path(name).name,
            shipped.shipped(name).replace(_SHIPPED_RECOVERY, recovery),
        )
        for name in shipped.TIMERS
    ]


def look(pieces: Sequence[Piece]) -> list[Look]:
    """What is there now, and how it differs. Raises RefusedError for what is no plain file."""
    return [_look(piece) for piece in pieces]


def put(looks: Sequence[Look], *, force: bool) -> None:
    """Write what is new, and with ``force`` what differs. Raises RefusedError, before anything is written
    or naming what could not be."""
    differing = [str(one.piece.path) for one in looks if one.state == "differs"]
    if differing and not force:
        raise RefusedError(
            f"nothing was written: {', '.join(differing)} would be changed as shown; --force does it"
        )
    for one in looks:
        if one.state in ("new", "differs"):
            _write(one.piece)


def _look(piece: Piece) -> Look:
    path = piece.path
    try:
        if path.is_symlink():
            raise RefusedError(f"{path} is a link to {path.readlink()}: remove it first")
        if not path.exists():
            return Look(piece, "new")
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise RefusedError(f"{path} is there and is no file of this kind: look at it")
        if piece.theirs:
            return Look(piece, "kept")
        now = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from error
    if now == piece.text:
        return Look(piece, "same")
    lines = difflib.unified_diff(
        now.splitlines(), piece.text.splitlines(), f"{path} (now)", f"{path} (new)", lineterm=""
    )
    return Look(piece, "differs", "\n".join(lines))


def _write(piece: Piece) -> None:
    try:
        piece.path.parent.mkdir(parents=True, exist_ok=True)
        if piece.mode == 0o644:
            replace_text(piece.path, piece.text)
            return
        handle = os.open(piece.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, piece.mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(piece.text)
    except OSError as error:
        hint = "; as root: sudo" if isinstance(error, PermissionError) else ""
        raise RefusedError(f"{piece.path}: {error.strerror}{hint}") from error


def _settings_piece(path: Path) -> Piece:
    return Piece(path, shipped.shipped(shipped.SETTINGS), mode=0o640, theirs=True)


def _command() -> Path:
    """This very installation."""
    return Path(sys.executable).parent / "sermon-monitor"


def _user_config() -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return base if base.is_absolute() else Path.home() / ".config"
