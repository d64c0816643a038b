"""The lock file is for every machine that we name: each package has a wheel there, with a hash that is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"


@pytest.mark.parametrize("machine", ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"])
@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize(
    ("lock", "among"),
    [
        ("requirements.lock", "pydantic-core"),
        pytest.param("requirements-extras.lock", "matplotlib", marks=pytest.mark.long),
    ],
)
def test_the_lock_file_resolves(
    lock: str, among: str, machine: str, python: str, tmp_path: Path
) -> None:
    """Asked of the package index that is set up here; nothing is installed, and nothing is built from source."""
    done = install(ROOT / lock, machine, python, tmp_path)
    assert done.returncode == 0, done.stderr
    assert among in done.stderr


def test_a_package_without_a_wheel_there_is_noticed(tmp_path: Path) -> None:
    lines = (
        (ROOT / "requirements.lock").read_text().replace("pydantic-core==", "pydantic-core==0.0.")
    )
    (tmp_path / "requirements.lock").write_text(lines)
    done = install(tmp_path / "requirements.lock", "aarch64-unknown-linux-gnu", "3.11", tmp_path)
    assert done.returncode != 0
    assert "pydantic-core" in done.stderr


def install(
    lock: Path, machine: str, python: str, directory: Path
) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [UV, "pip", "install", "--dry-run", "--target", directory / "none"]
    where = ["--python-platform", machine, "--python-version", python, "--python", sys.executable]
    how = ["--only-binary", ":all:", "--no-deps", "--require-hashes", "--no-cache"]
    return subprocess.run(
        [*command, *where, *how, "-r", lock],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
