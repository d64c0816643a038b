"""Run a workflow for real: ``act`` (nektos/act) reads the file as a runner does and runs its jobs on this machine.

What act does not have is proved elsewhere: permissions, concurrency and environments by the linters of
tests/unit/test_workflows.py, choices and the order of runs by the stand-in of GitHub.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

_SAID = re.compile(r"^\[[^\]]*\] +\| ?", re.MULTILINE)
_UNKNOWN_TO_ACT = re.compile(r"^ *queue: max\n", re.MULTILINE)


def run_workflow(
    workflow_path: Path,
    inputs: Mapping[str, str],
    env: Mapping[str, str],
    secrets: Mapping[str, str] | None = None,
    *,
    runner: Mapping[str, str] | None = None,
    timeout: float = 300.0,
) -> subprocess.CompletedProcess[str]:
    """One ``workflow_dispatch`` with ``inputs``, ``env`` laid over this process's environment.

    ``stdout`` is what the steps and commands said, without act's prefixes; ``stderr`` is act's own
    account (which step failed, the step summary). ``returncode`` is 1 where a job failed. ``runner``
    is what a runner sets itself, as GITHUB_API_URL.
    """
    with tempfile.TemporaryDirectory(prefix="sermon-act-") as directory:
        root = Path(directory)
        _repository(root / "repository", workflow_path)
        (root / "event.json").write_text(json.dumps({"inputs": dict(inputs)}), encoding="utf-8")
        (root / "secrets").write_text(
            "".join(f"{name}={json.dumps(value)}\n" for name, value in (secrets or {}).items()),
            encoding="utf-8",
        )
        done = subprocess.run(
            [
                *(_act(), "workflow_dispatch", "--workflows", ".github/workflows"),
                *("--platform", "self-hosted=-self-hosted"),
                *("--eventpath", str(root / "event.json")),
                *("--secret-file", str(root / "secrets"), "--env-file", os.devnull),
                *(word for pair in (runner or {}).items() for word in ("--env", "=".join(pair))),
            ],
            env={**os.environ, **env, "XDG_CACHE_HOME": str(root / "cache")},
            cwd=root / "repository",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    lines = done.stdout.splitlines(keepends=True)
    said = "".join(_SAID.sub("", line) for line in lines if _SAID.match(line))
    told = "".join(line for line in lines if not _SAID.match(line))
    return subprocess.CompletedProcess(done.args, done.returncode, said, told + done.stderr)


def _act() -> str:
    program = Path(sysconfig.get_path("scripts")) / "act"
    if not program.exists():
        raise FileNotFoundError(f"{program}: install requirements-dev.lock")
    return str(program)


def _repository(root: Path, workflow_path: Path) -> None:
    """A repository with that workflow alone, as act wants one."""
    workflows = root / ".github" / "workflows"
    workflows.mkdir(parents=True)
    text = _UNKNOWN_TO_ACT.sub("", workflow_path.read_text(encoding="utf-8"))
    (workflows / workflow_path.name).write_text(text, encoding="utf-8")
    name = ("-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    for command in (("init", "-q", "-b", "main"), ("add", "."), (*name, "commit", "-qm", "it")):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)
