"""An incident as people are shown it: each wrong thing once, steps in the order they were taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from receiver.records import AlertInstance, Incident, Step
from receiver.settings import ReceiverSettings
from receiver.store.history import History
from receiver.telling.view import view_of

NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
INCIDENT = Incident(
    id=12,
    service="sermon-uploader",
    state="open",
    severity="critical",
    opened_at=NIGHT,
    ladder_at=NIGHT,
    resolved_at=None,
    reopened=1,
    verdict="as it stands",
    truncated=3,
    check_at=None,
)


def after(minutes: float) -> datetime:
    return NIGHT + timedelta(minutes=minutes)


def alert(number: int, began: float, ended: float | None = None, **changes: Any) -> AlertInstance:
    given: dict[str, Any] = {
        "id": number,
        "incident_id": 12,
        "fingerprint": f"f{number}",
        "name": "ServiceDown",
        "severity": "critical",
        "labels": {"cause": "app"},
        "annotations": {"summary": "It is down"},
        "starts_at": after(began - 1),
        "first_seen": after(began),
        "last_seen": after(began),
        "ended_at": None if ended is None else after(ended),
        "repeats": number,
    }
    return AlertInstance(**(given | changes))


def step(number: int, action: str, state: str, due: float, **changes: Any) -> Step:
    given: dict[str, Any] = {
        "id": number,
        "incident_id": 12,
        "action": action,
        "target": "app",
        "alert": "ServiceDown",
        "state": state,
        "phase": "",
        "due_at": after(due),
        "words": f"words of {action}",
        "started_at": None,
        "ended_at": None,
    }
    return Step(**(given | changes))


def history(*alerts: AlertInstance, steps: tuple[Step, ...] = ()) -> History:
    return History(INCIDENT, alerts, steps, running=(), rollbacks=(), restarts=(), window=None)


def settings(**given: Any) -> ReceiverSettings:
    return ReceiverSettings.model_validate(given)


def test_the_incident_itself() -> None:
    view = view_of(
        history(alert(1, 0)),
        settings(CONTACTS="Anna", DRY_RUN="true", PUBLIC_URL="https://board.example.org"),
    )
    assert (view.id, view.service, view.state, view.severity) == (
        12,
        "sermon-uploader",
        "open",
        "critical",
    )
    assert (view.reopened, view.truncated, view.verdict) == (1, 3, "as it stands")
    assert (view.contacts, view.dry, view.public_url) == (
        "Anna",
        True,
        "https://board.example.org",
    )
    assert view_of(history(alert(1, 0)), settings()).public_url == ""


def test_an_alert_that_came_and_went_is_one_line_the_firing_one() -> None:
    flapping = [alert(n, n, n + 0.5) for n in range(5)]
    view = view_of(history(*flapping, alert(6, 6)), settings())
    (line,) = view.alerts
    assert (line.firing, line.repeats, line.until) == (True, 6, None)


def test_of_ended_ones_the_latest_is_shown() -> None:
    view = view_of(history(alert(1, 0, 1), alert(2, 5, 6), alert(3, 2, 3)), settings())
    (line,) = view.alerts
    assert (line.firing, line.until) == (False, after(6))


def test_different_causes_and_summaries_are_different_lines() -> None:
    blind = alert(2, 1, labels={"cause": "blind"})
    other = alert(3, 2, annotations={"summary": "Another disk"})
    named = alert(4, 3, name="HighErrorRate", labels={}, annotations={})
    view = view_of(history(alert(1, 0), blind, other, named), settings())
    assert [(line.name, line.cause, line.summary) for line in view.alerts] == [
        ("HighErrorRate", "", ""),
        ("ServiceDown", "app", "Another disk"),
        ("ServiceDown", "blind", "It is down"),
        ("ServiceDown", "app", "It is down"),
    ]


def test_what_fires_comes_before_what_is_over() -> None:
    over = alert(2, 9, 10, name="HighErrorRate")
    view = view_of(history(over, alert(1, 0)), settings())
    assert [line.name for line in view.alerts] == ["ServiceDown", "HighErrorRate"]


def test_since_is_never_later_than_we_saw_it() -> None:
    ahead = alert(1, 0, starts_at=after(600))
    assert view_of(history(ahead), settings()).alerts[0].since == NIGHT
    assert view_of(history(alert(1, 0)), settings()).alerts[0].since == after(-1)


def test_steps_stand_in_the_order_they_were_taken_and_the_rest_is_to_come() -> None:
    steps = (
        step(1, "person", "pending", 10, words=""),
        step(4, "cleanup", "pending", 20, words="the budget is used up"),
        step(2, "rollback", "running", 2, started_at=after(3), detail={"url": "https://run"}),
        step(3, "restart", "done", 0, started_at=after(0), ended_at=after(1)),
    )
    view = view_of(history(alert(1, 0), steps=steps), settings())
    assert [(s.action, s.at, s.url) for s in view.steps] == [
        ("restart", after(1), ""),
        ("rollback", after(3), "https://run"),
    ]
    assert [(s.action, s.at) for s in view.coming] == [
        ("person", after(10)),
        ("cleanup", None),  # when we look again at what holds it is no news
    ]
    assert not view.person_called


def test_a_refused_restart_names_what_was_not_restarted() -> None:
    refused = step(1, "restart", "refused", 0, target="minio", ended_at=after(0))
    view = view_of(history(alert(1, 0), steps=(refused,)), settings())
    assert view.steps[0].words == "minio: words of restart"


def test_a_person_counts_as_called_once_the_call_is_done() -> None:
    for state, called in (("pending", False), ("dropped", False), ("done", True)):
        view = view_of(history(alert(1, 0), steps=(step(1, "person", state, 0),)), settings())
        assert view.person_called is called
