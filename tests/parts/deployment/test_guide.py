"""docs/rollback-and-recovery.md as a volunteer would follow it: the application's troubles end healthy.

``UPDATE_GOLDEN=1 pytest tests/parts/deployment -k guide`` writes docs/transcripts anew; read them as a diff.
"""

from __future__ import annotations

import re

import pytest

from tests.parts.deployment.alike import differences
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


def test_what_a_transcript_says_is_compared_word_for_word() -> None:
    kept = (TRANSCRIPTS / "1-service-not-responding.md").read_text(encoding="utf-8")
    assert not differences(kept, kept)
    for word in ("connection refused", "exited with code 0", "quick-fix", "--tail 50", "is well"):
        assert differences(kept, kept.replace(word, "other words", 1)), word
    assert differences(kept, kept.replace("Exit code 0.", "Exit code 1."))


def test_what_the_machine_decides_is_left_out_of_the_comparison() -> None:
    """A loaded machine: more lines of a log, another order of two containers', its own findings."""
    kept = (TRANSCRIPTS / "5-container-wont-start.md").read_text(encoding="utf-8")
    load = re.compile(r"^warning  load .*\n.*\n", re.M)
    assert load.search(kept)
    made = load.sub("", kept).replace("8 warnings", "7 warnings").replace("up 40s", "up 3m2s")
    assert not differences(kept, made)
    kept = (TRANSCRIPTS / "1-service-not-responding.md").read_text(encoding="utf-8")
    lines = kept.splitlines(keepends=True)
    asked = next(at for at, line in enumerate(lines) if "GET | /api/health" in line)
    made = "".join([*lines[:asked], *lines[asked : asked + 1] * 9, *lines[asked + 2 :]])
    assert not differences(kept, made.replace("8 lines over 1s; 2", "70 lines over 1m9s; 9"))


def test_the_guide_names_every_transcript_and_no_other() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"(transcripts/{trouble.file}.md)" in text for trouble in TROUBLES)
    assert {path.stem for path in TRANSCRIPTS.iterdir()} == {trouble.file for trouble in TROUBLES}
