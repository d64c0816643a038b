"""docs/recovery-matrix.md is whole, and its summaries are those of its sections."""

from __future__ import annotations

import pytest

from recovery.verbs import VERBS
from tests.parts.matrix.page import PAGE, SECTIONS, VERSION_SECTIONS, rendered, section


@pytest.mark.parametrize(("layout", "state"), SECTIONS)
def test_every_verb_stands_in_every_state(layout: str, state: str) -> None:
    assert [cell.verb for cell in section(layout, state)] == [verb.name for verb in VERBS]


@pytest.mark.parametrize(("layout", "state"), VERSION_SECTIONS)
def test_every_bad_version_is_there(layout: str, state: str) -> None:
    assert section(layout, state)


def test_the_page_is_what_its_sections_make() -> None:
    known = {key: section(*key) for key in (*SECTIONS, *VERSION_SECTIONS)}
    assert PAGE.read_text() == rendered(known)
