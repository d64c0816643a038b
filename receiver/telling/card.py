"""The incident card: what it shows, made safe and short enough, in words from templates/card.j2.

Every length is in UTF-16 code units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from receiver.records import LOOKING
from receiver.telling.markdown import clean, plain, safe_url, utf16_len
from receiver.telling.words import load, one_line

SEVERITY_ORDER = ("critical", "warning", "info")
CALL_FIELD = "Call"
"""The name of the card's field that says whom to call."""
_SHORTER = (240, 140, 70)  # how long a text inside a line may be: tried in turn
_MAX_LINES = 40  # more can never fit into a field, so they are only counted


@dataclass(frozen=True)
class AlertLine:
    """One alert of the incident; ``since`` and ``until`` are aware."""

    name: str
    severity: str
    cause: str
    summary: str
    description: str
    firing: bool
    since: datetime
    until: datetime | None
    runbook_url: str
    dashboard_url: str
    repeats: int


@dataclass(frozen=True)
class StepLine:
    """One step, done or to come.

    ``action``: restart, rollback, person, cleanup, emergency_stop, investigate; ``state``: pending, running, done,
    failed, refused, dropped; ``words``: its outcome or reason.
    """

    action: str
    state: str
    at: datetime | None
    words: str
    url: str


@dataclass(frozen=True)
class NoteLine:
    """What a person has noted."""

    at: datetime
    who: str
    words: str


@dataclass(frozen=True)
class ApprovalLine:
    """What waits for a person's yes or no; ``url`` is a secret: the page where it is decided, or ""."""

    title: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class IncidentView:
    """All that a card says of one incident, as it stands now.

    ``truncated`` counts alerts that Alertmanager left out; ``public_url`` is where the board shows
    the incident; ``verdict`` is one sentence on how it stands or ended.
    """

    id: int
    service: str
    state: Literal["open", "resolved"]
    severity: Literal["critical", "warning", "info"]
    opened_at: datetime
    resolved_at: datetime | None
    reopened: int
    alerts: tuple[AlertLine, ...]
    steps: tuple[StepLine, ...]
    coming: tuple[StepLine, ...]
    person_called: bool
    contacts: str
    truncated: int
    dry: bool
    public_url: str
    verdict: str
    approvals: tuple[ApprovalLine, ...] = ()
    copies: int = 0
    """How many copies of this card may stand above it: posted, but their ids were lost."""
    notes: tuple[NoteLine, ...] = ()
    """The newest last."""
    attachments: tuple[tuple[str, str], ...] = ()
    """(message, attachment) of each file that an edit of that message must keep."""


@dataclass(frozen=True)
class Card:
    """The card in words, in Discord's markdown (``footer`` is plain). No part is empty."""

    title: str
    description: str
    fields: tuple[tuple[str, str], ...]
    footer: str
    call: str
    """One line that says it all, for a telephone's lock screen."""


_WORDS = load("card.j2")


def _safe_alert(alert: AlertLine, limit: int) -> AlertLine:
    return replace(
        alert,
        name=clean(alert.name, min(limit, 80)),
        severity=clean(alert.severity, 20),
        cause=clean(alert.cause, 40),
        summary=clean(alert.summary, limit),
        description=clean(alert.description, limit),
        runbook_url=safe_url(alert.runbook_url) if limit > _SHORTER[-1] else "",
        dashboard_url=safe_url(alert.dashboard_url) if limit > _SHORTER[-1] else "",
    )


def _safe_step(step: StepLine, limit: int) -> StepLine:
    return replace(
        step, action=plain(step.action, 20), words=clean(step.words, limit), url=safe_url(step.url)
    )


def _by_weight(alert: AlertLine) -> tuple[bool, int]:
    rank = SEVERITY_ORDER.index(alert.severity) if alert.severity in SEVERITY_ORDER else 9
    return not alert.firing, rank


def _fit(
    count: int, line: Callable[[int, int], str], more: Callable[[int], str], limit: int, beyond: int
) -> str:
    """``line(index, text limit)`` for each of ``count``: shortened until all fit, else the first and "and N more".

    ``beyond`` more exist that have no line at all.
    """
    shown = min(count, _MAX_LINES)
    beyond += count - shown
    lines: list[str] = []
    for text_limit in _SHORTER:
        lines = [line(index, text_limit) for index in range(shown)]
        whole = "\n".join([*lines, more(beyond)] if beyond else lines)
        if utf16_len(whole) <= limit:
            return whole
    while lines:
        beyond += 1
        lines.pop()
        whole = "\n".join([*lines, more(beyond)])
        if utf16_len(whole) <= limit:
            return whole
    return ""


def _alerts(view: IncidentView, limit: int) -> str:
    ordered = sorted(view.alerts, key=_by_weight)
    return _fit(
        len(ordered),
        lambda index, size: one_line(_WORDS.alert(_safe_alert(ordered[index], size))),
        lambda count: one_line(_WORDS.more_alerts(count)),
        limit,
        max(view.truncated, 0),
    )


def _steps(steps: Sequence[StepLine], *, coming: bool, limit: int) -> str:
    """Steps in order; where they do not fit, those furthest from now give way."""
    near = list(steps if coming else reversed(steps))
    word = _WORDS.coming if coming else _WORDS.step
    text = _fit(
        len(near),
        lambda index, size: one_line(word(_safe_step(near[index], size))),
        lambda count: one_line(_WORDS.more_steps(count, coming)),
        limit,
        0,
    )
    return text if coming else "\n".join(reversed(text.split("\n")))


def _notes(notes: Sequence[NoteLine], limit: int) -> str:
    """The newest first."""
    near = list(reversed(notes))

    def line(index: int, size: int) -> str:
        one = near[index]
        safe = replace(one, who=clean(one.who, 60), words=clean(one.words, size))
        return one_line(_WORDS.note(safe))

    return _fit(len(near), line, lambda count: one_line(_WORDS.more_steps(count, False)), limit, 0)


def at_work(view: IncidentView) -> bool:
    """Something is being done at this moment that may cure it."""
    return any(step.state == "running" and step.action not in LOOKING for step in view.steps)


def compose(view: IncidentView) -> Card:
    """The card of ``view``.

    In units: title up to 240, description 800, a field's value 1000, footer 150, call 280, and all
    that counts for an embed together under 5500, whatever ``view`` holds.
    """
    first = min(view.alerts, key=_by_weight, default=None)
    host = clean(view.service.partition("@")[2], 40)  # one of several: docs/hosts.md
    lead = _safe_alert(first, 80 if host else 120) if first else None
    about = clean(first.description or first.summary, 400) if first else ""
    safe = replace(  # what the templates see holds no text that has not been cleaned
        view,
        service=clean(view.service.replace("-", " ").replace("_", " ").title(), 60),
        alerts=(),
        steps=(),
        coming=(),
        notes=(),
        contacts=clean(view.contacts, 480),
        public_url="",
        approvals=tuple(ApprovalLine("", "") for _ in view.approvals),  # how many, no more
        verdict=clean(view.verdict, 480),
    )
    running = at_work(view)
    title = one_line(_WORDS.title(safe, lead, host))
    return Card(
        title=title,
        description=one_line(_WORDS.description(safe, about, running, bool(view.coming))),
        fields=tuple((name, value) for name, value in _fields(view, safe) if value),
        footer=one_line(_WORDS.footer(safe, plain(view.service, 60).replace("@", "@\u200b"))),
        call=one_line(_WORDS.lock_screen(safe, title)),
    )


def _fields(view: IncidentView, safe: IncidentView) -> Iterator[tuple[str, str]]:
    yield one_line(_WORDS.since_name()), one_line(_WORDS.since(safe))
    yield one_line(_WORDS.wrong_name(safe)), _alerts(view, 1000)
    yield one_line(_WORDS.done_name()), _steps(view.steps, coming=False, limit=1000)
    yield one_line(_WORDS.coming_name()), _steps(view.coming, coming=True, limit=700)
    yield CALL_FIELD, one_line(_WORDS.call(safe)) if view.person_called else ""
    yield one_line(_WORDS.verdict_name(safe)), safe.verdict
    yield one_line(_WORDS.notes_name()), _notes(view.notes, 400)
