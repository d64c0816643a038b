"""The backup of the configuration before this machine rolls back itself: the toolkit's verb, in a process of its own.

So its memory is given back, and what hangs is ended: what is down must not stay down for want of a backup.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

from sermon_monitor.settings import CONFIG, Settings

log = structlog.get_logger("backup")
WITHIN_SECONDS = 30.0
"""It takes seconds. A disk of another machine that does not answer holds up the rollback for as long."""
_TOOLKIT = (sys.executable, "-c", "from recovery.cli import main; main()")


def save_first(
    backup_dir: Path,
    config: Path | None = None,
    within: float = WITHIN_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Make it where BACKUP_DIR may be written; what came of it, in words.

    ``environment``: all settings of one of several deployments, in the place of the process's own.
    """
    if not os.access(backup_dir, os.W_OK | os.X_OK):
        words = f"no backup first: {backup_dir} is not there, or may not be written by the monitor"
    else:
        name = f"before-rollback-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        words = _made(name, config, within, environment)
    log.info("the backup before the rollback by this machine", words=words)
    return words


def _made(
    name: str, config: Path | None, within: float, environment: Mapping[str, str] | None
) -> str:
    where = ("--config", str(config)) if config else ()
    command = (*_TOOLKIT, "backup-create", name, "--before-change", "--json", *where)
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=within,
            check=False,
            env=None if environment is None else {**_rest_of_ours(), **environment},
        )
        said = json.loads(ended.stdout)["words"]
    except subprocess.TimeoutExpired:
        return f"no backup first: it took longer than {within:.0f} s"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"no backup first: {error}"
    return f"{said}, first" if ended.returncode == 0 else f"no backup first: {said}"


def _rest_of_ours() -> dict[str, str]:
    """Our environment without any setting."""
    settings = {name.upper() for name in Settings.model_fields}
    ours = settings | {f"{name}_FILE" for name in settings} | {CONFIG}
    return {name: value for name, value in os.environ.items() if name not in ours}
