"""A workflow file as GitHub reads it at a dispatch: inputs, run name, where its job runs. Pure.

Sources: docs.github.com, Actions, "Workflow syntax" (on.workflow_dispatch.inputs, run-name, runs-on,
concurrency) and REST "Create a workflow dispatch event".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_INPUTS = 25
MAX_INPUT_CHARACTERS = 65_535
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TERM = re.compile(
    r"""(?:github\.event\.)?inputs\.(?P<name>[\w-]+)
      | (?:github\.event\.)?inputs\['(?P<quoted>[^']+)'\]
      | github\.(?P<context>\w+)
      | '(?P<literal>[^']*)'""",
    re.VERBOSE,
)


class UnprocessableError(Exception):
    """A 422 with GitHub's words."""


@dataclass(frozen=True)
class Input:
    """One declared input; ``options`` only for a choice."""

    name: str
    kind: str
    required: bool
    default: str
    options: tuple[str, ...]


@dataclass
class Workflow:
    """A workflow file of the default branch. ``state`` is what ``GET …/workflows/{file}`` says."""

    id: int
    path: Path
    name: str
    run_name: str
    inputs: dict[str, Input] | None
    """None when it has no ``workflow_dispatch``."""
    labels: tuple[str, ...]
    """What ``runs-on`` of its first job asks for."""
    job: str
    concurrency: str | None
    """The group of the workflow, or of its first job."""
    keeps_pending: bool = False
    """``queue: max``: a newer pending run replaces no older one."""
    state: str = "active"

    @property
    def file(self) -> str:
        return self.path.name


def read_workflow(number: int, path: Path) -> Workflow:
    """Parse the file. Raises ValueError when its run-name uses what this stand-in cannot render."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    job_id, job = next(iter(document["jobs"].items()))
    runs_on = job["runs-on"]
    concurrency = document.get("concurrency") or job.get("concurrency")
    name = str(document.get("name") or path.name)
    workflow = Workflow(
        id=number,
        path=path,
        name=name,
        run_name=str(document.get("run-name") or name),
        inputs=_inputs(document.get("on", document.get(True))),  # YAML 1.1 reads "on" as true
        labels=(runs_on,) if isinstance(runs_on, str) else tuple(runs_on),
        job=str(job.get("name") or job_id),
        concurrency=concurrency.get("group") if isinstance(concurrency, dict) else concurrency,
        keeps_pending=isinstance(concurrency, dict) and concurrency.get("queue") == "max",
    )
    render_run_name(workflow, {}, {})
    return workflow


def _inputs(triggers: Any) -> dict[str, Input] | None:
    if isinstance(triggers, str):
        triggers = [triggers]
    if "workflow_dispatch" not in (triggers or ()):
        return None
    declared = triggers["workflow_dispatch"] if isinstance(triggers, dict) else None
    return {
        name: Input(
            name=name,
            kind=str((one or {}).get("type", "string")),
            required=bool((one or {}).get("required", False)),
            default=_text((one or {}).get("default", "")),
            options=tuple(str(option) for option in (one or {}).get("options", ())),
        )
        for name, one in ((declared or {}).get("inputs") or {}).items()
    }


def check_inputs(workflow: Workflow, given: Any) -> dict[str, str]:
    """The inputs of the run, defaults filled in. Raises UnprocessableError in GitHub's words."""
    if workflow.inputs is None:
        raise UnprocessableError("Workflow does not have 'workflow_dispatch' trigger")
    given = _well_formed(given)
    unknown = [name for name in given if name not in workflow.inputs]
    if unknown:
        listed = json.dumps(unknown, separators=(", ", ": "))
        raise UnprocessableError(f"Unexpected inputs provided: {listed}")
    values = {}
    for declared in workflow.inputs.values():
        value = given.get(declared.name, declared.default)
        if declared.required and not value:
            raise UnprocessableError(f"Required input '{declared.name}' not provided")
        if not _allowed(declared, value):
            raise UnprocessableError(
                f"Provided value '{value}' for input '{declared.name}' not in the list of allowed values"
            )
        values[declared.name] = value
    return values


def _well_formed(given: Any) -> dict[str, str]:
    """The schema of the request, before anything of the workflow is looked at."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise UnprocessableError(
            f"Invalid request.\n\nFor 'properties/inputs', {json.dumps(given)} is not an object."
        )
    if len(given) > MAX_INPUTS:
        raise UnprocessableError(
            "Invalid request.\n\n"
            f"No more than {MAX_INPUTS} properties are allowed; {len(given)} were supplied."
        )
    for name, value in given.items():
        if not isinstance(value, str):
            raise UnprocessableError(
                f"Invalid request.\n\nFor 'inputs/{name}', {json.dumps(value)} is not a string."
            )
    if len(json.dumps(given, ensure_ascii=False)) > MAX_INPUT_CHARACTERS:
        raise UnprocessableError("inputs are too large.")
    return given


def _allowed(declared: Input, value: str) -> bool:
    if declared.kind == "choice":
        return value in declared.options or (not value and not declared.required)
    if declared.kind == "boolean":
        return value in ("true", "false", "")
    if declared.kind == "number":
        return not value or bool(re.fullmatch(r"-?\d+(\.\d+)?", value))
    return True


def render_run_name(
    workflow: Workflow, inputs: Mapping[str, str], github: Mapping[str, str]
) -> str:
    """``run-name`` with its expressions filled in: inputs, github.*, literals, and ``||`` between them."""

    def fill(found: re.Match[str]) -> str:
        values = [_term(term.strip(), inputs, github) for term in found[1].split("||")]
        return next((value for value in values if value), "")

    return _EXPRESSION.sub(fill, workflow.run_name)


def _term(term: str, inputs: Mapping[str, str], github: Mapping[str, str]) -> str:
    match = _TERM.fullmatch(term)
    if match is None:
        raise ValueError(f"run-name: cannot render ${{{{ {term} }}}}")
    name = match["name"] or match["quoted"]
    if name:
        return inputs.get(name, "")
    return github.get(match["context"], "") if match["context"] else match["literal"]


def _text(value: Any) -> str:
    """A YAML default as the API hands it on: true becomes "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)
