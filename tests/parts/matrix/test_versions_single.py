"""Versions of the application that are no good, where MinIO is in the same container."""

from __future__ import annotations

import pytest

from tests.parts.matrix.page import BAD
from tests.parts.matrix.place import Place
from tests.parts.matrix.versions import seen_and_left
from tests.real.images import AppImage

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.usefixtures("long_enough_to_crash"),
]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_version_is_seen_and_the_good_one_comes_back(
    single: Place, versions: dict[str, AppImage], name: str
) -> None:
    seen_and_left(single, versions[name])
