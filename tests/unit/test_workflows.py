"""The workflows that we ship: three linters have nothing to say, and what they do not look at holds too."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLLBACK = ROOT / ".github" / "workflows" / "rollback.yml"
DEPLOY = ROOT / "deploy" / "workflows" / "self-hosted-deploy.yml"
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
WORKFLOWS = [ROLLBACK, DEPLOY, RELEASE]
_SCRIPTS = Path(sysconfig.get_path("scripts"))


def _document(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _steps(path: Path) -> list[Any]:
    return [step for job in _document(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize(
    "linter",
    [
        ["actionlint", "-no-color"],
        # "auditor" would refuse every self-hosted runner; the deployment is on one.
        ["zizmor", "--offline", "--no-config", "--quiet", "--persona=pedantic"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
    ],
    ids=lambda words: words[0],
)
def test_the_linters_are_silent(linter: list[str]) -> None:
    done = subprocess.run(
        [_SCRIPTS / linter[0], *linter[1:], *WORKFLOWS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_expression_stands_in_a_script(path: Path) -> None:
    """GitHub fills it in before the shell reads: whoever sends the input would write the script."""
    scripts = [step["run"] for step in _steps(path) if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]
    assert all(step["shell"] == "bash" for step in _steps(path) if "run" in step)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_and_times_are_bounded(path: Path) -> None:
    document = _document(path)
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert isinstance(job["timeout-minutes"], int)
        assert not isinstance(job.get("permissions"), str)  # read-all, write-all
    for step in _steps(path):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40))


def test_a_rollback_and_a_deployment_wait_for_each_other() -> None:
    """Nothing is cut off half way, and what waits is not thrown out for what comes later."""
    ours, theirs = (
        _document(path)["jobs"][job]["concurrency"]
        for path, job in ((ROLLBACK, "rollback"), (DEPLOY, "deploy"))
    )
    assert ours == theirs
    assert (ours["cancel-in-progress"], ours["queue"]) == (False, "max")


def test_an_emergency_stop_waits_for_nothing_and_nothing_waits_for_its_approval() -> None:
    """A job that waits for a person holds its group: two stops must not share one either."""
    jobs = _document(ROLLBACK)["jobs"]
    group, others = (jobs[name]["concurrency"]["group"] for name in ("stop", "rollback"))
    assert "environment" in jobs["stop"]
    assert "${{ github.run_id }}" in group
    assert not group.startswith(others)
    assert jobs["stop"]["concurrency"]["cancel-in-progress"] is False
