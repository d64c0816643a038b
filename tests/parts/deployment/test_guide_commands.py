"""Every command of docs/rollback-and-recovery.md that stands in no step-by-step procedure runs too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.deployment.machine import TROUBLES, Machine
from tests.parts.deployment.volunteer import Volunteer, at_a_terminal, typed
from tests.standins.discord import Discord


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_every_other_command_of_the_guide_runs(
    machine: Machine, volunteer: Volunteer, tmp_path: Path
) -> None:
    """On a deployment that is well; what asks is answered with yes."""
    procedures = {line for trouble in TROUBLES for line in typed(trouble.heading)}
    lines = [
        line for line in dict.fromkeys(typed()) if line not in procedures and at_a_terminal(line)
    ]
    assert len(lines) > 15
    (tmp_path / "outside").mkdir()
    with Discord.in_thread() as discord:
        volunteer.env["DISCORD_WEBHOOK_URL"] = discord.url
        for line in lines:
            code = volunteer.type(line)
            assert code in (0, 1), volunteer.said[-1]
        assert discord.messages  # the test card
    failed = {line for line, code, _ in volunteer.said if code}
    # What compares with things that are not here: Prometheus, GitHub, the kernel of a Pi.
    assert failed <= {
        "sermon-monitor check --send",
        "sermon-monitor explain HighErrorRate",
        "./scripts/recovery-toolkit.sh diagnose",
        "sermon-recovery check-discord",
        "sermon-recovery pre-deploy",
    }, [said for said in volunteer.said if said[0] in failed]
