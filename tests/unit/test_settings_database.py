"""DATABASE_URL: what it may be, and that its password is shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver import settings as receiver_settings
from receiver.store.trouble import StoreError
from sermon_monitor.settings import load
from target.settings import SettingsError

ADDRESS = "postgresql://anna:pass%40word@db.example:5432/monitor?sslmode=require"


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("mysql://anna:password@h/d", "sqlite:///PATH"),
        ("sqlite:///", "sqlite:///PATH"),
        ("postgresql://anna:password@h", "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("postgres://anna:password@h:x/d", "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("postgres://anna:password@h:99999/d", "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
    ],
)
def test_what_it_cannot_be(value: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, {"DATABASE_URL": value})
    (line,) = caught.value.problems
    assert line.startswith("DATABASE_URL=(hidden)")
    assert allowed in line
    assert "password" not in line


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_settings, "installed", lambda: False)
    with pytest.raises(SettingsError) as caught:
        load(None, {"DATABASE_URL": ADDRESS})
    assert 'pip install "sermon-monitor[postgres]"' in caught.value.problems[0]
    assert load(None, {"DATABASE_URL": "sqlite:////a/b"}).database_path == Path("/a/b")


def test_it_names_neither_user_nor_password() -> None:
    found = load(None, {"DATABASE_URL": ADDRESS})
    assert str(found.server) == "postgresql://db.example:5432/monitor"
    assert found.store == found.server
    for text in (repr(found), repr(found.server), str(found.server), repr(found.model_dump())):
        assert "word" not in text
    with pytest.raises(StoreError, match=r"postgresql://db\.example:5432/monitor"):
        _ = found.database_path
