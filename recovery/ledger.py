"""Where the version ledger lies, for whoever may not write the monitor's own directory too."""

from __future__ import annotations

import os
from pathlib import Path

from target.settings import SYSTEM_STATE, DeploymentSettings

SYSTEM_LEDGER = SYSTEM_STATE / "versions.json"


def ledger_path(settings: DeploymentSettings) -> Path:
    """STATE_DIR's ledger. Whoever may not write the monitor's own directory still reads its ledger there."""
    own = settings.state_dir / "versions.json"
    if "state_dir" in settings.model_fields_set or os.access(own, os.R_OK):
        return own
    return SYSTEM_LEDGER if os.access(SYSTEM_LEDGER, os.R_OK) else own
