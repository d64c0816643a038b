"""The daily digest: what was, in one short message. Pure; what it tells of is gathered in keeper.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from receiver.digest.figures import Figures
from receiver.store.digests import Happened
from receiver.telling.markdown import clean, utf16_len
from receiver.telling.note import Field, Note
from receiver.telling.words import load, one_line
from target.durations import format_duration
from target.versions import Release

_WORDS = load("digest.j2")
_ROOM = 600
"""Units of one field."""
_WORTH = ("critical", "warning", "info")
_STAMP = re.compile(r"<t:(-?\d+)(?::[a-zA-Z])?>")


@dataclass(frozen=True)
class Contents:
    """All that a digest tells of."""

    since: datetime
    until: datetime
    happened: Happened
    figures: Figures
    deployments: Sequence[Release] = ()
    ledger_problem: str = ""


def compose(contents: Contents) -> Note:
    """Short on a quiet day, and never without a word: that it comes is a sign of life."""
    happened, quiet = contents.happened, is_quiet(contents)
    fields = (
        ("How it ran", _ran(contents.figures)),
        ("Disk and backup", _kept(contents.figures)),
        ("Incidents", _incidents(happened)),
        ("Alerts", [one_line(_WORDS.alert(clean(n, 80), s, k)) for n, s, k in happened.alerts]),
        ("What was done", [one_line(_WORDS.step(*one)) for one in happened.steps]),
        ("What was held back", [one_line(_WORDS.held(a, clean(w, 160), k)) for a, w, k in happened.held]),
        ("Deployments", _deployments(contents)),
        ("Maintenance", [one_line(_WORDS.window(w.starts_at, w.ends_at, clean(w.reason, 120))) for w in happened.windows]),
    )  # fmt: skip
    return Note(
        title=one_line(_WORDS.title(quiet, sum(happened.opened.values()), len(happened.open))),
        text=one_line(_WORDS.text(contents.since, contents.until, quiet, contents.until)),
        severity="warning" if happened.open else None,
        fields=tuple(Field(name=name, value=_fit(lines)) for name, lines in fields if lines),
    )


def is_quiet(contents: Contents) -> bool:
    """Nothing began, nothing is open, nothing failed. What is only for the digest does not count."""
    happened = contents.happened
    failed = any(state == "failed" for _, state, _ in happened.steps)
    return not (happened.opened or happened.open or failed)


def _fit(lines: Sequence[str]) -> str:
    """As many lines as there is room for, and how many are left out."""
    for shown in range(len(lines), -1, -1):
        left_out = len(lines) - shown
        more = [one_line(_WORDS.more(left_out))] if left_out else []
        text = "\n".join([*lines[:shown], *more])
        if utf16_len(text) <= _ROOM:
            return text
    return ""


def _ran(figures: Figures) -> list[str]:
    if figures.problem:
        return [one_line(_WORDS.no_figures(clean(figures.problem, 200)))]
    lines = []
    if figures.uptime is not None:
        seen = figures.watched
        watched = _percent(seen) if seen is not None and seen < 0.995 else ""
        lines.append(one_line(_WORDS.up(_percent(figures.uptime), watched)))
    if figures.requests is not None:
        requests, errors = round(figures.requests), round(figures.errors or 0)
        rate = _percent(errors / requests) if requests else ""
        p95 = "" if figures.p95_seconds is None else _seconds(figures.p95_seconds)
        lines.append(one_line(_WORDS.traffic(requests, errors, rate, p95)))
    if figures.uploads is not None:
        failed = round(figures.failed_uploads or 0)
        lines.append(one_line(_WORDS.uploads(round(figures.uploads), failed)))
    return lines or [one_line(_WORDS.no_figures("Prometheus has none of this time"))]


def _kept(figures: Figures) -> list[str]:
    if figures.problem:
        return []
    lines = []
    if figures.disk_used is not None:
        lines.append(
            one_line(_WORDS.disk(clean(figures.disk_mount, 80), _percent(figures.disk_used)))
        )
    if figures.backup_age_seconds is None:
        lines.append(one_line(_WORDS.no_backup()))
    else:
        lines.append(one_line(_WORDS.backup(_age(figures.backup_age_seconds))))
    if figures.backup_data_age_seconds is not None:
        length = _gibibytes(figures.backup_bytes)
        lines.append(one_line(_WORDS.backup_data(_age(figures.backup_data_age_seconds), length)))
    if figures.drill_success is not None and figures.drill_age_seconds is not None:
        age = _age(figures.drill_age_seconds)
        lines.append(one_line(_WORDS.drill(age, figures.drill_success == 1)))
    return lines


def _age(seconds: float) -> str:
    hours = timedelta(hours=int(seconds // 3600))
    return format_duration(hours) if hours else "less than an hour"


def _gibibytes(count: float | None) -> str:
    return "" if count is None else f"{count / 1024**3:.1f} GiB"


def _incidents(happened: Happened) -> list[str]:
    if not (happened.opened or happened.resolved or happened.open):
        return []
    opened = [
        (severity, happened.opened[severity]) for severity in _WORTH if severity in happened.opened
    ]
    lines = [one_line(_WORDS.incidents(opened, happened.resolved))]
    for one in happened.open:
        lines.append(one_line(_WORDS.still_open(one.id, clean(one.service, 60), one.opened_at)))
    return lines


def _deployments(contents: Contents) -> list[str]:
    if contents.ledger_problem:
        return [clean(contents.ledger_problem, 200)]
    return [
        one_line(
            _WORDS.deployment(one.since, clean(one.service, 60), clean(one.title, 80), one.verdict)
        )
        for one in contents.deployments
    ]


def _percent(part: float) -> str:
    value = 100 * part
    text = f"{value:.0f}" if value in (0.0, 100.0) or 1 <= value < 99 else f"{value:.2f}"
    # What is not all must not read as all.
    return f"{'99.99' if text == '100.00' else text} %"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def as_text(note: Note, zone: tzinfo) -> str:
    """For a terminal: times in ``zone``, without the escapes that Discord needs."""
    parts = [note.title, note.text]
    for field in note.shown_fields:
        parts += ["", f"{field.name}:", *(f"  {line}" for line in field.value.split("\n"))]

    def when(match: re.Match[str]) -> str:
        return f"{datetime.fromtimestamp(int(match[1]), zone):%Y-%m-%d %H:%M}"

    text = _STAMP.sub(when, "\n".join(parts))
    return re.sub(r"\\(.)", r"\1", text).replace("\u200b", "")
