"""Run a workflow's one step for real, as a runner does: bind ``env`` from inputs, run ``run`` with bash.

Sources: docs.github.com, Actions, "Workflow syntax" (``shell: bash`` is ``bash --noprofile --norc -eo
pipefail {0}``) and "Contexts" (``inputs``). What a runner would not accept here is refused here too:
an expression inside the script, a value that is not text.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_INPUT = re.compile(r"(?:github\.event\.)?inputs\.([A-Za-z0-9_-]+)")


class WorkflowError(Exception):
    """The file is not what this runner can run."""


def run_step(
    workflow_path: Path,
    inputs: Mapping[str, str],
    env: Mapping[str, str],
    timeout: float = 300.0,
) -> subprocess.CompletedProcess[str]:
    """The one step of the one job with ``inputs`` (missing ones take their default), ``env`` laid over
    this process's environment. stdout and stderr come apart; ``returncode`` is the step's.

    Raises WorkflowError for a file that is not of this kind.
    """
    document = yaml.safe_load(workflow_path.read_text(encoding="utf-8"))
    step = _only_step(document)
    values = {**_defaults(document), **inputs}
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "step.sh"
        script.write_text(_script(step), encoding="utf-8")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env={**os.environ, **env, **_bound(step, values)},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def _only_step(document: Mapping[Any, Any]) -> Mapping[str, Any]:
    jobs = list(document["jobs"].values())
    steps = [step for job in jobs for step in job["steps"]]
    if len(steps) != 1 or "run" not in steps[0]:
        raise WorkflowError("not one job with one step that runs a script")
    found: Mapping[str, Any] = steps[0]
    return found


def _defaults(document: Mapping[Any, Any]) -> dict[str, str]:
    trigger = document.get("on", document.get(True))  # YAML 1.1 reads "on" as true
    declared = trigger["workflow_dispatch"]["inputs"]
    return {name: _text((about or {}).get("default", "")) for name, about in declared.items()}


def _script(step: Mapping[str, Any]) -> str:
    script = str(step["run"])
    if _EXPRESSION.search(script):
        raise WorkflowError(
            "an expression inside the script: whoever sends the input writes the script"
        )
    if step.get("shell") != "bash":
        raise WorkflowError("the step does not say `shell: bash`")
    return script


def _bound(step: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    def value(match: re.Match[str]) -> str:
        name = _INPUT.fullmatch(match.group(1))
        if name is None or name.group(1) not in values:
            raise WorkflowError(f"cannot evaluate {match.group()}")
        return values[name.group(1)]

    return {
        name: _EXPRESSION.sub(value, _text(written))
        for name, written in (step.get("env") or {}).items()
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
