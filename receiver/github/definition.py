"""A workflow's file, as far as a dispatch depends on it: what it takes, how its run is called, who runs it. Pure.

Source: docs.github.com, Actions, "Workflow syntax" (on.workflow_dispatch.inputs, run-name, jobs.runs-on).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from target.yaml_text import YamlError, parse_yaml

SENT: Final[Mapping[str, str]] = {
    "rollback_type": "previous_version",
    "target_commit": "",
    "reason": "",
    "force_rollback": "true",
    "correlation_id": "",
    "expires_at": "",
    "target_image": "",
}
"""The inputs that we send; those with a value are always sent with that one."""


class Definition:
    """One workflow file. Raises ValueError in words where it is none."""

    def __init__(self, text: str) -> None:
        try:
            document = parse_yaml(text)
        except YamlError as error:
            raise ValueError(f"it is not YAML: {str(error)[:200]}") from error
        if not isinstance(document, dict):
            raise ValueError("it is no workflow")  # noqa: TRY004 - what a person wrote, not a type of ours
        self._document: dict[Any, Any] = document

    def faults(self) -> tuple[str, ...]:
        """Why it would refuse our dispatch, in words; empty where it takes it."""
        triggers = self._document.get("on", self._document.get(True))  # YAML 1.1 reads on as true
        if isinstance(triggers, str):
            triggers = [triggers]
        if not isinstance(triggers, dict | list) or "workflow_dispatch" not in triggers:
            return ("it has no workflow_dispatch",)
        inputs = _mapping(
            _mapping(_mapping(triggers).get("workflow_dispatch")).get("inputs"),
        )
        declared = {str(name): _mapping(one) for name, one in inputs.items()}
        return (
            *(f"it has no input {name}" for name in SENT if name not in declared),
            *(
                f"its input {name} does not take {SENT[name] or 'free text'}"
                for name in SENT
                if name in declared and not _takes(declared[name], SENT[name])
            ),
            *(
                f"it asks for an input {name}, which we do not send"
                for name, one in declared.items()
                if name not in SENT and one.get("required") and not one.get("default")
            ),
        )

    @property
    def names_its_run(self) -> bool:
        """Whether a run whose id we were not told can be found by its name."""
        return "inputs.correlation_id" in str(self._document.get("run-name", ""))

    def labels(self) -> tuple[frozenset[str], ...]:
        """What each job that needs a self-hosted runner asks of one, in small letters."""
        wanted = (_labels(_mapping(job).get("runs-on")) for job in self._jobs())
        return tuple(labels for labels in wanted if "self-hosted" in labels)

    def _jobs(self) -> Sequence[Any]:
        return tuple(_mapping(self._document.get("jobs")).values())


def _takes(declared: Mapping[Any, Any], value: str) -> bool:
    kind = declared.get("type") or "string"
    if kind == "choice":
        options = declared.get("options")
        return isinstance(options, list) and value in map(str, options)
    if kind == "boolean":
        return value in ("true", "false")
    return bool(kind == "string")


def _labels(runs_on: Any) -> frozenset[str]:
    """Where an expression is among them, only those that stand there in plain words."""
    if isinstance(runs_on, dict):
        runs_on = runs_on.get("labels")
    every = [runs_on] if isinstance(runs_on, str) else runs_on
    if not isinstance(every, list):
        return frozenset()
    return frozenset(str(label).lower() for label in every if "${{" not in str(label))


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}
