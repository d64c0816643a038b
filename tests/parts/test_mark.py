"""``sermon-monitor mark``, as typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from target.version_keeper import LedgerFile
from target.versions import Facts, Ledger, observe
from tests.parts.cli_kit import Command

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def monitor(tmp_path: Path) -> Command:
    """A ledger in which ``backend`` went from v1 to v2."""
    command, ledger = Command(tmp_path), Ledger()
    for hours, name in enumerate(("v1", "v2")):
        seen = Facts(f"app:{name}", f"sha256:{name}{'0' * 10}", tag=name)
        ledger = observe(ledger, "backend", seen, START + timedelta(hours=hours))
    LedgerFile(command.state / "versions.json").save(ledger)
    return command


def marks(monitor: Command) -> list[tuple[str, bool]]:
    ledger, problem = LedgerFile(monitor.state / "versions.json").read()
    assert problem is None
    return [(release.verdict, release.irreversible) for release in ledger.releases]


def test_what_runs_and_what_is_named(monitor: Command) -> None:
    answer = monitor("mark", "--irreversible")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "v2 of backend: unknown, irreversible; no version older than it follows it by itself\n"
    )
    assert monitor("mark", "v1", "--good", "--service", "backend").code == 0
    assert marks(monitor) == [("good", False), ("unknown", True)]
    assert monitor("mark", "--reversible", "--bad").out == "v2 of backend: bad, not irreversible\n"
    assert marks(monitor) == [("good", False), ("bad", False)]


def test_it_stands_in_the_audit_trail(monitor: Command) -> None:
    monitor.store("x")
    assert monitor("mark", "--irreversible", "--by", "Anna").code == 0
    trail = monitor("audit").out
    assert "v2 of backend: unknown, irreversible" in trail
    assert "Anna (terminal)" in trail


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("mark",), 2, "--irreversible, --reversible, --good, --bad"),
        (("mark", "v1"), 2, "--irreversible"),
        (("mark", "v9", "--bad"), 1, "no version v9 of backend"),
        (("mark", "--bad", "--service", "minio"), 1, "no service minio in the version ledger; it knows backend"),
        (("mark", "\x1b[31m", "--bad"), 1, "no version"),
    ],
)  # fmt: skip
def test_what_cannot_be_marked(
    monitor: Command, words: tuple[str, ...], code: int, said: str
) -> None:
    answer = monitor(*words)
    assert answer.code == code
    assert said in answer.err
    assert "\x1b" not in answer.err
    assert marks(monitor) == [("unknown", False)] * 2


def test_without_a_sound_ledger_nothing_is_marked(monitor: Command) -> None:
    path = monitor.state / "versions.json"
    path.write_text("{ half")
    answer = monitor("mark", "--bad")
    assert (answer.code, "cannot be read" in answer.err) == (1, True)
    assert path.read_text() == "{ half"
    path.unlink()
    answer = monitor("mark", "--bad")
    assert (answer.code, "no version has been seen yet" in answer.err) == (1, True)
