"""Whose state a command means: one's own, or the service's, which it may not be allowed to look into."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.store.database import StoreError
from sermon_monitor import store_file
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import where_the_service_is


@pytest.mark.parametrize(
    ("own", "service", "told", "meant"),
    [
        (False, True, False, "service"),
        (True, True, False, "own"),
        (False, False, False, "own"),
        (False, True, True, "own"),
    ],
    ids=["only the service's", "both", "neither", "STATE_DIR says it"],
)
def test_whoever_has_no_state_of_their_own_means_the_services(
    own: bool, service: bool, told: bool, meant: str, tmp_path: Path
) -> None:
    places = {"own": tmp_path / "own", "service": tmp_path / "service"}
    for name, there in (("own", own), ("service", service)):
        if there:
            places[name].mkdir()
    settings = Settings(state_dir=places["own"])
    if not told:
        settings = Settings().model_copy(update={"state_dir": places["own"]})
        settings.model_fields_set.discard("state_dir")
    found = where_the_service_is(settings, places["service"])
    assert found.store == places[meant] / "receiver.sqlite3"


def test_what_may_not_be_looked_into_is_said_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(StoreError, match="Permission denied; sudo, or join the group"):
        store_file.exists(tmp_path / "receiver.sqlite3")
