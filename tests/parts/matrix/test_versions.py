"""Versions of the application that are no good: how each verb meets them, and that the good one comes back."""

from __future__ import annotations

import pytest

from tests.parts.matrix.page import BAD, compare
from tests.parts.matrix.place import Place
from tests.parts.matrix.versions import ROLLBACK, deploy, met, seen_and_left, there_and_back
from tests.real.images import AppImage

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.usefixtures("long_enough_to_crash"),
]
NOWHERE = "127.0.0.1:9/team/app:v9"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_version_is_seen_and_the_good_one_comes_back(
    apart: Place, versions: dict[str, AppImage], name: str
) -> None:
    seen_and_left(apart, versions[name])


def test_a_slow_version_is_warned_about_and_not_rolled_back_to(
    apart: Place, versions: dict[str, AppImage]
) -> None:
    deploy(apart, versions["slow"])
    found = met(apart, "health-check")
    assert (found.exit_code, "only after" in found.words) == (0, True)
    back = there_and_back(apart, versions["slow"], "--verify-timeout", "8")
    compare("version", "slow", [found, back])


def test_a_version_that_is_not_to_be_had_stops_nothing(apart: Place) -> None:
    apart.arrange("half-up")
    apart.write(NOWHERE)
    before = apart.fingerprint()
    found = [met(apart, "health-check")]
    for verb in ("quick-fix", "restart-services", "emergency-restart", "post-deploy"):
        found.append(met(apart, verb, "--yes"))
        assert (found[-1].exit_code, found[-1].outcome) == (1, "refused")
    assert apart.fingerprint()["containers"] == before["containers"]
    found.append(met(apart, "rollback", *ROLLBACK))
    assert apart.client.container(apart.app).image_id == apart.former.id
    apart.arrange("running")
    shown = "rollback --to-version"
    found.append(met(apart, "rollback", *ROLLBACK, "--to-image", NOWHERE, shown=shown))
    assert (found[-1].outcome, apart.well()) == ("refused", True)
    compare("version", "not to be had", found)
