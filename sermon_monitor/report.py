"""``report-rollback``: how a run of the rollback workflow ended, told where people look.

The run's step summary, Discord, a deployment record and, where it failed, an issue. Each is tried whatever
became of the others.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError

from receiver.github.api import Api
from receiver.github.records import Records
from receiver.http import Http, open_session
from receiver.notifiers.discord import Discord
from receiver.records import Ring
from receiver.telling.delivery import DeliveryError
from receiver.telling.markdown import clean
from receiver.telling.note import Field, Note
from receiver.webhook_url import validate_webhook_url
from target.settings import HttpUrl, Room

MAX_BYTES = 1024 * 1024
Verb = Literal["rollback", "emergency-stop"]
_NAMES: dict[Verb, str] = {"rollback": "Rollback", "emergency-stop": "Emergency stop"}
ISSUE_TITLES: dict[Verb, str] = {
    "rollback": "A rollback failed: a person is needed",
    "emergency-stop": "An emergency stop failed: a person is needed",
}
_TYPED: dict[Verb, tuple[str, ...]] = {
    "rollback": ("diagnose", "versions", "rollback --dry-run"),
    "emergency-stop": ("diagnose", "emergency-stop"),
}
"""What a person types after a failure."""
FINE = ("done", "already", "nothing", "dry_run")
PASSED = ("expired", "not_needed")
"""Nothing was done, and nothing had to be."""
_CHANGED = ("done", "put_back", "broken")
_TITLES = {
    "done": "Done",
    "already": "It runs already",
    "nothing": "There was nothing to stop",
    "dry_run": "Only looked at",
    "expired": "The request had expired: nothing was done",
    "not_needed": "The application is well: nothing was done",
    "refused": "Refused: nothing was changed",
    "put_back": "It failed; what ran before runs again",
    "broken": "It failed, and putting back failed too",
    "failed": "It failed",
    "none": "It ended without a result",
}
_TEXT = jinja2.Template(
    """\
**{{ what }}: {{ title }}**

{{ words }}
{% if target %}
- target: {{ target }}
{%- endif %}
- reason: {{ reason or "none given" }}
{%- if correlation_id %}
- request: {{ correlation_id }}
{%- endif %}
{%- if run_url %}
- run: {{ run_url }}
{%- endif %}
{%- if failed %}

On the machine of the deployment, type:

```sh
{%- for verb in typed %}
sermon-recovery {{ verb }}
{%- endfor %}
```
{%- endif %}
""",
    autoescape=False,  # GitHub's markdown; each value has gone through clean()
)


def _webhook(value: SecretStr) -> SecretStr:
    validate_webhook_url(value.get_secret_value())
    return value


class RunSettings(Room):
    """What the runner gives: docs.github.com, Actions, "Default environment variables"."""

    discord_webhook_url: Annotated[SecretStr, AfterValidator(_webhook)] | None = None
    github_token: SecretStr | None = None
    github_repository: str | None = None
    github_api_url: HttpUrl = "https://api.github.com"
    github_server_url: HttpUrl = "https://github.com"
    github_run_id: str = ""
    github_step_summary: Path | None = None

    @property
    def run_url(self) -> str:
        if not (self.github_repository and self.github_run_id):
            return ""
        return (
            f"{self.github_server_url}/{self.github_repository}/actions/runs/{self.github_run_id}"
        )


class Outcome(BaseModel):
    """What ``sermon-recovery rollback --json``, or ``emergency-stop --json``, printed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    verb: Verb = "rollback"
    outcome: str
    words: str = ""
    reason: str | None = None
    correlation_id: str = ""
    target: str | None = None
    revision: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome not in (*FINE, *PASSED)


@dataclass(frozen=True)
class Told:
    """One place, and what kept it from being told; None where it was told."""

    place: str
    problem: str | None = None


def read_outcome(file: Path, verb: Verb = "rollback") -> Outcome:
    """A file that is not there or holds no result says that the command, ``verb``, ended without one."""
    nothing = "the command ended without a result; its words are in the run's log"
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES)
        return Outcome.model_validate(json.loads(content))
    except (OSError, ValueError, RecursionError, ValidationError):
        return Outcome(verb=verb, outcome="none", words=nothing)


async def report(settings: RunSettings, outcome: Outcome, reason: str) -> list[Told]:
    """Tell every place that is set up. Never raises for a place that cannot be told."""
    text = render(settings, outcome, reason)
    told = [Told("step summary", _summarise(settings.github_step_summary, text))]
    async with open_session() as session:
        http = Http(session)
        if settings.discord_webhook_url:
            discord = Discord(http, settings.discord_webhook_url, None)
            told.append(await _tried("Discord", lambda: discord.post(
                _note(settings, outcome, reason), ring=_ring(outcome))))  # fmt: skip
        if settings.github_token and settings.github_repository:
            api = Api(http, settings.github_token)
            records = Records(api, settings.github_api_url, settings.github_repository)
            told += await _record(settings, records, outcome, text)
    return told


async def _record(
    settings: RunSettings, records: Records, outcome: Outcome, text: str
) -> list[Told]:
    told = []
    if outcome.verb == "rollback" and outcome.outcome in _CHANGED and outcome.revision:
        state: Literal["success", "failure"] = "failure" if outcome.failed else "success"
        words = f"rollback: {_title(outcome)}"
        told.append(await _tried("deployment", lambda: records.deployment(
            outcome.revision, state, words, settings.run_url)))  # fmt: skip
    if outcome.failed:
        told.append(await _tried("issue", lambda: records.issue(ISSUE_TITLES[outcome.verb], text)))
    return told


def render(settings: RunSettings, outcome: Outcome, reason: str) -> str:
    """The text for GitHub: the step summary and the issue."""
    text: str = _TEXT.render(
        what=_NAMES[outcome.verb],
        title=_title(outcome),
        words=clean(outcome.words, 1500),
        target=clean(outcome.target or "", 200),
        reason=clean(outcome.reason or reason, 500),
        correlation_id=clean(outcome.correlation_id, 130),
        run_url=settings.run_url,
        failed=outcome.failed,
        typed=_TYPED[outcome.verb],
    )
    return text


def _note(settings: RunSettings, outcome: Outcome, reason: str) -> Note:
    fields = [Field(name="Reason", value=clean(outcome.reason or reason, 500) or "none given")]
    if outcome.target:
        fields.append(Field(name="Target", value=clean(outcome.target, 200)))
    if settings.run_url:
        fields.append(Field(name="Run", value=settings.run_url))
    severity = "critical" if outcome.failed else "info" if outcome.outcome in PASSED else None
    return Note(
        title=f"{_NAMES[outcome.verb]}: {_title(outcome)}",
        text=clean(outcome.words, 1500),
        severity=severity,
        fields=tuple(fields),
    )


def _ring(outcome: Outcome) -> Ring:
    """A run that the monitor follows has a card of its own, which rings."""
    if outcome.failed and not outcome.correlation_id.startswith("sm-"):
        return Ring.NOTIFY
    return Ring.SILENT


def _title(outcome: Outcome) -> str:
    return _TITLES.get(outcome.outcome) or clean(outcome.outcome, 80)


def _summarise(file: Path | None, text: str) -> str | None:
    if file is None:
        return None
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text + "\n")
    except OSError as error:
        return f"{file}: {error.strerror}"
    return None


async def _tried(place: str, tell: Callable[[], Awaitable[Any]]) -> Told:
    try:
        await tell()
    except DeliveryError as error:
        return Told(place, error.words)
    return Told(place)
