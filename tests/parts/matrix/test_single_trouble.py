"""Application and MinIO in one container, on a machine in trouble."""

from __future__ import annotations

import pytest

from tests.parts.matrix.place import Place
from tests.parts.matrix.states import every_verb

pytestmark = [pytest.mark.engine, pytest.mark.long]


@pytest.mark.parametrize(
    "state",
    [
        "directory missing",
        "engine down",
        "disk full",
        "directory of another user",
        "no access to Docker",
    ],
)
def test_every_verb_does_what_it_says(single: Place, state: str) -> None:
    every_verb(single, state)
