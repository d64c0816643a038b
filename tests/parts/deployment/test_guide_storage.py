"""docs/rollback-and-recovery.md, followed where MinIO, its data or the disk are the trouble: it ends healthy."""

from __future__ import annotations

import pytest

from tests.parts.deployment.machine import TROUBLES, Machine, Trouble, ends_healthy, of_storage
from tests.parts.deployment.volunteer import Volunteer


@pytest.mark.engine
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "trouble", [t for t in TROUBLES if of_storage(t)], ids=lambda trouble: trouble.file
)
def test_a_trouble_ends_healthy(trouble: Trouble, machine: Machine, volunteer: Volunteer) -> None:
    ends_healthy(trouble, machine, volunteer)
