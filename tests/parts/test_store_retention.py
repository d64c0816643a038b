"""What ended long ago goes with all that is of it; the newest stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from receiver.deciding.decision import PlannedStep
from receiver.records import Ring
from receiver.store import incidents, messages, pictures, retention, steps
from receiver.store.incidents import NewAlert
from tests.parts.stores import Stores

OLD = datetime(2020, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def test_nothing_that_is_of_an_incident_keeps_it(stores: Stores) -> None:
    c = stores.connection()
    c.execute("BEGIN IMMEDIATE")
    for number in range(retention.KEPT_AT_LEAST + 3):
        one = incidents.open_incident(c, f"service {number}", "critical", OLD)
        incidents.add_alerts(c, [NewAlert(one, f"{number}", "A", "critical", {}, {}, OLD)], OLD)
        steps.add_step(c, one, PlannedStep("restart", "app", OLD), "A")
        messages.touch_card(c, one, "discord", Ring.SILENT, OLD)
        messages.add_event(c, one, "note", "words", OLD)
    pictures.due(c, OLD)
    c.execute("UPDATE pictures SET alert_id = (SELECT min(id) FROM alerts WHERE alerts.incident_id = pictures.incident_id)")  # fmt: skip
    incidents.end_alerts(c, [str(n) for n in range(retention.KEPT_AT_LEAST + 3)], OLD)
    c.execute("UPDATE steps SET state = 'dropped'")
    c.execute("UPDATE messages SET delivered = revision")
    c.execute("UPDATE incidents SET state = 'resolved', resolved_at = opened_at")
    assert retention.forget(c, OLD + YEAR) == 3
    assert retention.forget(c, OLD + YEAR) == 0
    c.execute("COMMIT")
    for table in ("incidents", "alerts", "steps", "messages", "events", "pictures"):
        (left,) = c.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert left == retention.KEPT_AT_LEAST, table


def test_what_belongs_to_no_incident_goes_too(stores: Stores) -> None:
    c = stores.connection()
    c.execute("BEGIN IMMEDIATE")
    for number in range(retention.KEPT_AT_LEAST + 2):
        messages.add_event(c, None, "clock set", str(number), OLD)
        day = (OLD + timedelta(days=number)).date().isoformat()
        c.execute("INSERT INTO digests (day, due_at, covers_from, covers_to) VALUES (?, ?, 0, 0)", (day, number))  # fmt: skip
    assert retention.forget_the_rest(c, OLD + YEAR) == 4
    assert retention.forget_the_rest(c, OLD + YEAR) == 0
    c.execute("COMMIT")
