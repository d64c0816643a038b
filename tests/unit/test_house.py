"""The house stays a house: layers, sizes, names at the top, nothing of one machine in the product."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TOP_LEVEL = {
    "target": "the deployment under watch",
    "exporter": "what Prometheus scrapes",
    "receiver": "what Alertmanager calls and what people look at",
    "recovery": "what a person runs on the host",
    "sermon_monitor": "the command line and the process",
    "monitoring": "rules, routing and policy, shipped as package data",
    "tests": "all tests, their real parts and stand-ins",
    "docs": "what does not fit the README",
    "deploy": "systemd units, and an example of a deployment",
    "scripts": "three-line fronts, so that the guide's commands work as printed",
    "pyproject.toml": "the package, its dependencies, the tools' settings",
    "requirements.lock": "what `make run` installs, with hashes",
    "requirements-extras.lock": "the same with the extras `elsewhere`, `pictures` and `postgres`",
    "requirements-dev.lock": "what `make test` installs, with hashes",
    "Makefile": "everything a developer types",
    "Dockerfile": "our image",
    ".dockerignore": "keeps the image's context small and free of secrets",
    "docker-compose.monitoring.yml": "the whole monitoring stack",
    ".env.example": "every setting one may want to set for the stack",
    "README.md": "the front door",
    "CHANGELOG.md": "what users get with each release",
    "SECURITY.md": "how to report a hole",
    "LICENSE": "Apache-2.0",
    ".ci": "what CI runs",
    ".github": "the workflows",
    ".gitignore": "what is not kept",
    ".git": "the history",
}
PRODUCT = ("target", "exporter", "receiver", "recovery", "sermon_monitor")
SHIPPED = (*PRODUCT, "monitoring", "scripts", "deploy", "docs")
SHIPPED_FILES = (
    "Dockerfile",
    "docker-compose.monitoring.yml",
    ".env.example",
    "README.md",
    "pyproject.toml",
)
LOCKS = ("requirements.lock", "requirements-extras.lock", "requirements-dev.lock")
LONGEST_FILE = 350

_MACHINE_PATH = re.compile(r"/(?:home|Users)/[a-z]|/root/|/work/")
_TOLD_IN_UTC = re.compile(r":%[^}\n]*\} UTC|%M(?::%S)? UTC")
_FOREIGN = {"__pycache__"}


def _files(*directories: str) -> Iterator[Path]:
    for directory in directories:
        for path in sorted((ROOT / directory).rglob("*")):
            if path.is_file() and not set(path.parts) & _FOREIGN:
                yield path


def test_the_layers_hold() -> None:
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"
    answer = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout


def test_no_file_has_become_two_jobs() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in _files(*PRODUCT, "tests") if path.suffix == ".py"}  # fmt: skip
    assert {path: n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def test_every_name_at_the_top_has_its_reason() -> None:
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    present = {
        path.name
        for path in ROOT.iterdir()
        if not any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored)
    }
    assert present - TOP_LEVEL.keys() == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"https?://\S+|--(?:extra-)?index-url|--find-links", text) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_has_a_hash_for_every_requirement(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert requirements
    assert [line for line in requirements if "--hash=sha256:" not in line] == []


def test_the_product_holds_no_path_of_a_machine() -> None:
    paths = [*_files(*SHIPPED), *(ROOT / name for name in SHIPPED_FILES if (ROOT / name).exists())]
    found = {
        f"{path.relative_to(ROOT)}:{number}": line.strip()
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if _MACHINE_PATH.search(line)
    }
    assert found == {}


def test_what_people_read_of_the_receiver_tells_times_in_their_zone() -> None:
    """Evidence alone is in UTC, as the log lines in it are; and GitHub writes a token's end so."""
    found = [
        path.relative_to(ROOT).as_posix()
        for package in ("receiver", "sermon_monitor")
        for path in sorted((ROOT / package).rglob("*"))
        if path.suffix in (".py", ".j2") and _TOLD_IN_UTC.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["receiver/evidence.py"]
