"""What looks for holes finds none: in the image's recipe, in the product's code; and a release tells what is in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PRODUCT = ("target", "exporter", "receiver", "recovery", "sermon_monitor", "monitoring")


def test_the_image_is_made_as_hadolint_wants_it() -> None:
    told = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)  # fmt: skip
    assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.long
def test_bandit_finds_nothing() -> None:
    words = ["bandit", "-q", "-r", *PRODUCT, "-c", "pyproject.toml", "-f", "json"]
    told = subprocess.run([BIN / words[0], *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    found = json.loads(told.stdout)
    assert [f"{one['filename']}:{one['line_number']} {one['issue_text']}" for one in found["results"]] == []  # fmt: skip
    assert found["errors"] == []
    assert found["metrics"]["_totals"]["loc"] > 20_000


def test_the_product_asserts_nothing() -> None:
    """With -O it would not be asked."""
    for path in (path for room in PRODUCT for path in (ROOT / room).rglob("*.py")):
        assert not re.search(r"^\s+assert\b", path.read_text(), re.MULTILINE), path


def sbom(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, ROOT / ".ci" / "sbom", *words], capture_output=True, text=True, check=False)  # fmt: skip


def test_the_bill_of_materials_has_every_package_with_its_hashes() -> None:
    made = json.loads(sbom("1.2.3", str(ROOT / "requirements.lock")).stdout)
    lock = (ROOT / "requirements.lock").read_text()
    names = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    assert [(one["name"], one["version"]) for one in made["components"]] == names
    assert sum(len(one["hashes"]) for one in made["components"]) == lock.count("--hash=sha256:")
    assert made["metadata"]["component"]["version"] == "1.2.3"
    references = [one["bom-ref"] for one in made["components"]]
    assert len(set(references)) == len(references)
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9-]+@[\w.+!]+", one) for one in references)


@pytest.mark.parametrize("text", ["", "a==1\n", "-e .\n", "a\n"])
def test_a_bill_without_hashes_is_none(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(text)
    told = sbom("1", str(lock))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("sbom: ")
