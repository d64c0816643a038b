"""An incident as people are shown it, from what the store remembers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from receiver.approving.links import Links
from receiver.approving.wording import title
from receiver.records import SEVERITIES, AlertInstance, Severity, Step
from receiver.settings import ReceiverSettings
from receiver.store.history import History
from receiver.telling.card import AlertLine, ApprovalLine, IncidentView, NoteLine, StepLine
from receiver.telling.graphs import graph_url


def view_of(
    history: History, settings: ReceiverSettings, links: Links | None = None
) -> IncidentView:
    """``links``: what an approval's button leads to; without it there are none."""
    incident = history.incident
    coming = [s for s in history.steps if s.state == "pending"]
    asked = {one.step_id for one in history.approvals if one.state == "asked"}
    taken = [s for s in history.steps if s.state != "pending"]
    return IncidentView(
        id=incident.id,
        service=incident.service,
        state=incident.state,
        severity=severity_now(history),
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        reopened=incident.reopened,
        alerts=tuple(_alert_line(alert, settings) for alert in _latest(history.alerts)),
        steps=tuple(
            _step_line(step)
            for step in sorted(taken, key=lambda s: s.started_at or s.ended_at or s.due_at)
        ),
        coming=tuple(
            StepLine(s.action, s.state, None if s.id in asked or s.words else s.due_at, s.words, "")
            for s in coming  # when we look again for a person's word, or at what holds a step, is no news
        ),
        person_called=person_called(history),
        contacts=settings.contacts,
        truncated=incident.truncated,
        dry=settings.dry_run,
        public_url=settings.public_url or "",
        verdict=incident.verdict,
        approvals=tuple(
            ApprovalLine(title(one), links.url(one) if links else "")
            for one in history.approvals
            if one.state == "asked" and incident.state == "open"
        ),
        attachments=_attachments(history),
        notes=tuple(NoteLine(note.at, note.who, note.words) for note in history.notes),
    )


def _attachments(history: History) -> tuple[tuple[str, str], ...]:
    """Empty while any file is not known to be attached: then an edit says nothing of files, which keeps all."""
    found = [(one.message_id, one.attachment_id) for one in history.evidence]
    if history.picture and history.picture.number:
        found.append((history.picture.message_id, history.picture.attachment_id))
    known = [(message, file) for message, file in found if message and file]
    return tuple(known) if len(known) == len(found) else ()


def severity_now(history: History) -> Severity:
    """How bad it is: what still fires after an emergency is no emergency; what is over was as bad as it ever was."""
    incident = history.incident
    firing = [alert.severity for alert in history.alerts if alert.firing]
    if incident.state == "resolved" or incident.ladder_at is not None or not firing:
        return incident.severity
    return max(firing, key=SEVERITIES.index)


def person_called(history: History) -> bool:
    """For what goes on now: an incident that came back starts its ladder anew, and a lingering warning has none."""
    incident, began = history.incident, history.incident.ladder_at
    called = [s for s in history.steps if s.action == "person" and s.state == "done"]
    if began is not None:
        return any((s.ended_at or began) >= began for s in called)
    firing = {alert.name for alert in history.alerts if alert.firing}
    return any(incident.state == "resolved" or not s.alert or s.alert in firing for s in called)


def _latest(alerts: Sequence[AlertInstance]) -> list[AlertInstance]:
    """One line for each thing that is wrong: an alert that came and went five times is one."""
    seen: dict[tuple[str, ...], AlertInstance] = {}
    for alert in sorted(alerts, key=lambda a: (not a.firing, -a.first_seen.timestamp())):
        about = (alert.name, alert.labels.get("cause", ""), alert.annotations.get("summary", ""))
        seen.setdefault(about, alert)
    return list(seen.values())


def _alert_line(alert: AlertInstance, settings: ReceiverSettings) -> AlertLine:
    notes, since = alert.annotations, min(alert.starts_at, alert.first_seen)
    graphs = graph_url(settings.grafana_url, alert.labels, since, alert.ended_at)
    return AlertLine(
        name=alert.name,
        severity=alert.severity,
        cause=alert.labels.get("cause", ""),
        summary=notes.get("summary", ""),
        description=notes.get("description", ""),
        firing=alert.firing,
        since=since,
        until=alert.ended_at,
        runbook_url=notes.get("runbook_url", ""),
        dashboard_url=graphs or notes.get("dashboard_url", ""),
        repeats=alert.repeats,
    )


def _step_line(step: Step) -> StepLine:
    target = (
        f"{step.target}: "
        if step.action == "restart" and step.state in ("refused", "dropped")
        else ""
    )
    return StepLine(
        step.action,
        step.state,
        step.ended_at or step.started_at,
        target + step.words,
        str(step.detail.get("url", "")),
    )
