"""Files of this release that belong elsewhere on a machine: workflows and units."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
ROLLBACK = ".github/workflows/rollback.yml"
DEPLOY = "deploy/workflows/self-hosted-deploy.yml"
UNIT = "deploy/sermon-uploader-health-monitor.service"
USER_UNIT = "deploy/user/sermon-uploader-health-monitor.service"
TIMERS = (
    "deploy/sermon-uploader-backup.service",
    "deploy/sermon-uploader-backup.timer",
    "deploy/sermon-uploader-backup-drill.service",
    "deploy/sermon-uploader-backup-drill.timer",
)
SYSUSERS = "deploy/sermon-monitor.sysusers"
SETTINGS = "deploy/health-monitor.conf"


def shipped(name: str) -> str:
    """The text of a file by its path in the checkout; an installed package has them beside its modules."""
    packed = files("sermon_monitor").joinpath("shipped_files", *name.lstrip(".").split("/"))
    if packed.is_file():
        return packed.read_text(encoding="utf-8")
    return (_CHECKOUT / name).read_text(encoding="utf-8")
