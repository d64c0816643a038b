"""docs/rollback-and-recovery.md as a volunteer would follow it: the application's troubles end healthy.

``UPDATE_GOLDEN=1 pytest tests/parts/deployment -k guide`` writes docs/transcripts anew; read them as a diff.
"""

from __future__ import annotations

import pytest

from tests.parts.deployment.machine import (
    TRANSCRIPTS,
    TROUBLES,
    Machine,
    Trouble,
    ends_healthy,
    of_storage,
)
from tests.parts.deployment.volunteer import GUIDE, Volunteer


@pytest.mark.engine
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "trouble", [t for t in TROUBLES if not of_storage(t)], ids=lambda trouble: trouble.file
)
def test_a_trouble_ends_healthy(trouble: Trouble, machine: Machine, volunteer: Volunteer) -> None:
    ends_healthy(trouble, machine, volunteer)


def test_the_guide_names_every_transcript_and_no_other() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"(transcripts/{trouble.file}.md)" in text for trouble in TROUBLES)
    assert {path.stem for path in TRANSCRIPTS.iterdir()} == {trouble.file for trouble in TROUBLES}
