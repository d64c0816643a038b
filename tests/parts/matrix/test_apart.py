"""Application and MinIO apart, in the states of ordinary life."""

from __future__ import annotations

import pytest

from tests.parts.matrix.cells import CHANGES, unconfirmed
from tests.parts.matrix.place import Place
from tests.parts.matrix.states import every_verb

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    "state",
    [
        "running",
        "stopped",
        pytest.param("half-up", marks=pytest.mark.long),
        pytest.param("port taken", marks=pytest.mark.long),
    ],
)
def test_every_verb_does_what_it_says(apart: Place, state: str) -> None:
    every_verb(apart, state)


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        ("running", {"restart-services", "rollback", "emergency-stop", "emergency-restart", "cleanup"}),
        ("stopped", {"quick-fix", "restart-services", "emergency-restart"}),
    ],
)  # fmt: skip
def test_without_a_terminal_nothing_is_confirmed(apart: Place, state: str, verbs: set[str]) -> None:
    """Those that lose nothing ask nobody; the others are not asked for where they have nothing to do."""
    apart.arrange(state)
    apart.litter()
    for verb in CHANGES:
        if verb.name in verbs:
            unconfirmed(apart, verb)
