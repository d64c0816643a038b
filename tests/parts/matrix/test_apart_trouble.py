"""Application and MinIO apart, on a machine in trouble."""

from __future__ import annotations

import pytest

from tests.parts.matrix.place import Place
from tests.parts.matrix.states import every_verb

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    "state",
    [
        pytest.param("directory missing", marks=pytest.mark.long),
        "engine down",
        "disk full",
        pytest.param("directory of another user", marks=pytest.mark.long),
        "no access to Docker",
    ],
)
def test_every_verb_does_what_it_says(apart: Place, state: str) -> None:
    every_verb(apart, state)
