"""The severity/action table. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from receiver.deciding.timing import Timing
from receiver.maintenance.calendar import Recurring
from receiver.records import LOOKING, NOBODYS, Ring, Severity
from target.durations import Duration, format_duration, parse_duration
from target.yaml_text import YamlError, parse_yaml

Confirm = Literal["probe", "minio", "container", "signal", "none"]
LocalFallback = Literal["never", "approve", "auto"]
Category = Literal["health", "performance", "resource", "container", "storage", "pipeline"]
TARGETS = {
    "restart": ("app", "minio", "container"),
    "rollback": ("app", "minio"),
    "cleanup": ("safe", "images"),
    "person": ("",),
    "investigate": ("container",),
}
"""The actions a row may name, each with the targets it may have; the first is the default.

``container`` is the one of the alert's ``name`` label: the app's or MinIO's; what is investigated is that
very container. ``safe`` is what can be made again, ``images`` are unused versions of the application.
"""
_STEP = re.compile(r"(?P<ask>ask +)?(?P<action>[a-z]+)(?: +(?P<target>[a-z]+))? +@(?P<after>\S+)")


class PolicyError(Exception):
    """policy.yml cannot be used. ``problems`` has one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyStep(_Strict):
    """``restart app @0m``: do ``action`` to ``target`` at ``after`` on the ladder.

    ``ask rollback @0m``: only once a person has approved it.
    """

    action: str
    target: str
    after: Duration
    ask: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _STEP.fullmatch(value.strip())
        if not match or match["action"] not in TARGETS:
            raise ValueError(
                f"allowed: [ask] ACTION [TARGET] @TIME with an action of {', '.join(TARGETS)}; got {value!r}"
            )
        if match["ask"] and match["action"] in {"person", *LOOKING}:
            raise ValueError(
                f"nobody is asked whether a person may be called or evidence collected; got {value!r}"
            )
        targets = TARGETS[match["action"]]
        target = match["target"] or targets[0]
        if target not in targets:
            raise ValueError(
                f"{match['action']} takes {' or '.join(t for t in targets if t) or 'no target'}; got {target!r}"
            )
        if not match["ask"] and (match["action"], target) == ("cleanup", "images"):
            raise ValueError(f"what deletes named images must be asked for: ask {value.strip()}")
        return {
            "action": match["action"],
            "target": target,
            "after": parse_duration(match["after"]),
            "ask": bool(match["ask"]),
        }

    def __str__(self) -> str:
        ask, after = "ask" if self.ask else "", f"@{format_duration(self.after)}"
        return " ".join(filter(None, (ask, self.action, self.target, after)))


def _no_name(match: Mapping[str, str]) -> Mapping[str, str]:
    """Such a row would be there, and never be the one."""
    if "alertname" in match:
        raise ValueError("allowed: labels other than alertname: that is the row's alert")
    return match


class Row(_Strict):
    """What one alert asks for."""

    alert: Annotated[str, Field(min_length=1)]
    match: Annotated[Mapping[str, str], AfterValidator(_no_name)] = {}
    category: Category = "health"
    severity: Severity
    discord: Literal["now", "grouped", "digest"]
    mention: bool = False
    confirm: Confirm = "none"
    steps: tuple[PolicyStep, ...] = ()
    rollback_if: str = ""  # PromQL: a rollback needs an answer to it that is not empty

    growth: Literal["", "memory", "cpu"] = ""  # what must explain a proposed rollback: growth.py

    @cached_property
    def ladder(self) -> bool:
        """Whether it asks for a step that comes by itself: such an alert begins the ladder."""
        return any(not step.ask and step.action not in LOOKING for step in self.steps)

    @cached_property
    def ring(self) -> Ring:
        """How loudly a new card of this alert arrives."""
        if self.mention:
            return Ring.MENTION
        return Ring.NOTIFY if self.discord == "now" else Ring.SILENT

    def matches(self, labels: Mapping[str, str]) -> bool:
        return labels.get("alertname") == self.alert and all(
            labels.get(k) == v for k, v in self.match.items()
        )


class Other(_Strict):
    discord: Literal["now", "grouped", "digest"]
    mention: bool = False


class Policy(_Strict):
    """The whole of policy.yml."""

    version: Literal[1]
    local_fallback: LocalFallback = "approve"
    timing: Timing
    alerts: tuple[Row, ...]
    heartbeat: tuple[str, ...] = ("Watchdog",)
    maintenance: tuple[Recurring, ...] = ()
    others: Mapping[Severity, Other]
    _own_host: str = PrivateAttr("")

    @model_validator(mode="after")
    def _complete(self) -> Policy:
        missing = {"critical", "warning", "info"} - set(self.others)
        if missing:
            raise ValueError(f"others: no row for {', '.join(sorted(missing))}")
        keys = [(row.alert, tuple(sorted(row.match.items()))) for row in self.alerts]
        twice = sorted({alert for alert, _ in keys if keys.count((alert, _)) > 1})
        if twice:
            raise ValueError(f"more than one row for {', '.join(twice)}")
        return self

    def at_host(self, own_host: str) -> Policy:
        self._own_host = own_host  # no part of the file
        return self

    def asks(self, labels: Mapping[str, str], severity: Severity) -> bool:
        """Whether such an alert asks for steps that come by themselves."""
        return self.row(labels, severity).ladder

    def row(self, labels: Mapping[str, str], severity: Severity) -> Row:
        """The row for an alert's labels; the one of ``others`` where the table names none."""
        name = labels.get("alertname") or "(unnamed alert)"
        for row in self._by_name.get(name, ()):
            if row.matches(labels):
                return row if self.ours(labels) else self._elsewhere[id(row)]
        return self._other_row(name, severity)

    def names(self, alert: str) -> bool:
        """Whether the table has a row for alerts of this name; else the name and severity say all."""
        return alert in self._by_name

    def ours(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert is about the deployment that steps would change: an alert of another host is not."""
        return NOBODYS not in labels and labels.get("host", "") in ("", self._own_host)

    @cached_property
    def _elsewhere(self) -> Mapping[int, Row]:
        """The rows, by identity, for alerts of other hosts: told as loudly, a person called, nothing done from here."""
        told = {"confirm": "none", "rollback_if": "", "growth": ""}
        steps = [tuple(s for s in row.steps if s.action == "person") for row in self.alerts]
        rows = zip(self.alerts, steps, strict=True)
        return {id(row): row.model_copy(update={**told, "steps": left}) for row, left in rows}

    @cached_property
    def _other_row(self) -> Callable[[str, Severity], Row]:
        @lru_cache(maxsize=256)
        def row(name: str, severity: Severity) -> Row:
            other = self.others[severity]
            return Row(alert=name, severity=severity, discord=other.discord, mention=other.mention)

        return row

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[Row]]:
        return {
            row.alert: [one for one in self.alerts if one.alert == row.alert] for row in self.alerts
        }


def parse_policy(text: str, name: str = "policy.yml") -> Policy:
    """Raises PolicyError with one line a problem."""
    try:
        return Policy.model_validate(parse_yaml(text))
    except YamlError as error:
        raise PolicyError([f"{name}: not YAML: {error}"]) from error
    except ValidationError as error:
        lines = [
            f"{name}: {'.'.join(map(str, item['loc'])) or 'file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise PolicyError(lines) from error


def load_policy(path: Path, own_host: str = "") -> Policy:
    """``own_host``: OWN_HOST. Raises PolicyError, also where the file cannot be read."""
    try:
        policy = parse_policy(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError([f"{path}: cannot be read: {error}"]) from error
    return policy.at_host(own_host)
