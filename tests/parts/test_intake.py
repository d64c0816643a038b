"""What webhooks change, told as stories on a real SQLite file with a clock in hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from receiver.store import figures, incidents, messages, steps
from receiver.store.history import read_history
from tests.parts.intake_kit import Story, alert, body_of
from tests.parts.stores import Stores

PAYLOADS = Path(__file__).parents[1] / "payloads"


def payload(name: str, release: str = "0.28.1") -> dict[str, Any]:
    text = (PAYLOADS / f"alertmanager-{release}" / f"{name}.json").read_bytes()
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture
def story(stores: Stores) -> Story:
    return Story(stores.connection())


LADDER = [("restart", "pending", 0.0), ("rollback", "pending", 120.0), ("person", "pending", 600.0)]


def test_an_alert_opens_an_incident_with_its_ladder_and_one_ringing_card(story: Story) -> None:
    assert story.fires("ServiceDown", cause="app") == "open"
    assert story.incident.severity == "critical"
    assert story.steps() == LADDER
    assert story.messages() == [("card", True)]


def test_a_repeat_is_counted_and_nothing_else(story: Story) -> None:
    story.fires("ServiceDown", cause="app")
    before = story.events(), story.messages(), story.steps()
    later = story.clock.pass_by(hours=4)
    assert story.fires("ServiceDown", cause="app") == "repeat"
    assert (story.events(), story.messages(), story.steps()) == before
    assert [(a.repeats, a.last_seen) for a in story.alerts] == [(1, later)]


def test_a_moved_start_is_a_repeat_while_it_fires_and_new_after_its_end(story: Story) -> None:
    first = alert("ServiceDown", "firing", cause="app")
    moved = {**first, "startsAt": "2026-03-01T03:00:00Z"}
    assert story.take(body_of(first)) == ["open"]
    assert story.take(body_of(moved)) == ["repeat"]
    story.ends("ServiceDown", cause="app")
    assert story.take(body_of(moved)) == ["join"]
    assert [a.firing for a in story.alerts] == [True, False]


def test_whatever_befalls_one_service_is_one_incident(story: Story) -> None:
    story.fires("ServiceDown", cause="app")
    story.clock.pass_by(seconds=30)
    assert story.fires("HighErrorRate") == "join"
    assert story.fires("ContainerNotRunning", name="sermon-uploader") == "join"
    assert story.steps() == LADDER
    assert story.messages() == [("card", True)]


def test_what_joins_brings_the_steps_that_are_not_there_on_the_same_ladder(story: Story) -> None:
    story.fires("HighErrorRate")
    story.clock.pass_by(seconds=45)
    story.fires("ServiceDown", cause="app")
    assert sorted(story.steps()) == [
        ("person", "pending", 600.0),
        ("restart", "pending", 0.0),
        ("rollback", "pending", 0.0),
    ]


def test_its_end_is_looked_at_once_the_last_alert_is_over(story: Story) -> None:
    story.fires("ServiceDown", cause="app")
    story.fires("HighErrorRate")
    now = story.clock.pass_by(seconds=5)
    assert story.ends("ServiceDown", cause="app") == "end"
    assert story.ends("HighErrorRate") == "end"
    assert story.incident.state == "open"
    looked_at = story.incident.check_at
    assert looked_at == now
    assert story.fires("HighErrorRate") == "join"
    assert story.incident.check_at is None


def test_an_end_of_something_unknown_opens_nothing(story: Story) -> None:
    assert story.ends("ServiceDown", cause="app") == "stray end"
    assert (story.all, story.messages(), story.events()) == ([], [], ["stray end"])


def test_firing_again_within_the_flap_window_reopens_and_refills_nothing(story: Story) -> None:
    story.fires("ServiceDown", cause="app")
    for step in steps.steps(story.c, story.incident.id)[:2]:
        steps.claim_step(story.c, step.id, "x", {}, story.clock.now())
        steps.end_step(story.c, step.id, "done", "", story.clock.now())
    story.ends("ServiceDown", cause="app")
    steps.drop_pending(story.c, story.incident.id, "over", story.clock.now())
    story.over()
    story.clock.pass_by(minutes=9, seconds=59)
    assert story.fires("ServiceDown", cause="app") == "reopen"
    assert (story.incident.state, story.incident.reopened) == ("open", 1)
    assert story.steps() == [
        ("restart", "done", 0.0),
        ("rollback", "done", 0.0),
        ("restart", "pending", 599.0),
        ("person", "dropped", 600.0),
        ("person", "pending", 599.0 + 600.0),
    ], "a restart has its own budget by the hour; the one rollback is spent"


def test_after_the_flap_window_it_is_a_new_incident(story: Story) -> None:
    story.fires("ServiceDown", cause="app")
    story.ends("ServiceDown", cause="app")
    story.over()
    story.clock.pass_by(minutes=10)
    assert story.fires("ServiceDown", cause="app") == "open"
    assert [i.state for i in story.all] == ["open", "resolved"]


@pytest.mark.parametrize("release", ["0.25.0", "0.28.1"])
def test_a_second_alertmanager_brings_only_repeats(story: Story, release: str) -> None:
    for name in ("ha_not_clustered_firing_0", "ha_not_clustered_firing_1"):
        story.take(payload(name, release))
    assert len(story.all) == 1
    for name in ("firing", "grouped_3_firing"):
        first = payload(name, release)
        story.take(first)
        again = {**first, "externalURL": "http://other.test", "receiver": "other"}
        assert set(story.take(again)) == {"repeat"}
    ended = payload("ha_not_clustered_resolved_0", release)
    assert story.take(ended) == ["end"]
    assert story.take({**ended, "externalURL": "http://other.test"}) == ["stray end"]


def test_each_alerts_own_status_counts_not_the_groups(story: Story) -> None:
    story.take(payload("grouped_3_firing"))
    mixed = payload("grouped_mixed")
    assert mixed["status"] == "firing"
    assert story.take(mixed) == ["repeat", "repeat", "end"]
    firing = {i.service: incidents.any_firing(story.c, i.id) for i in story.all}
    assert firing == {"a": False, "b": True, "c": True}


def test_what_was_left_out_is_noted_once(story: Story) -> None:
    left_out = payload("truncated_max_alerts_2")
    story.take(left_out)
    story.take(left_out)
    assert {i.truncated for i in story.all} == {left_out["truncatedAlerts"]}
    assert story.events().count("truncated") == len(story.all)


def test_the_watchdog_only_beats(story: Story) -> None:
    assert story.fires("Watchdog", "none") == "heartbeat"
    now = story.clock.pass_by(minutes=1)
    story.fires("Watchdog", "none")
    assert (story.all, story.messages(), story.events()) == ([], [], [])
    assert figures.figures(story.c).heartbeat == now
    story.clock.pass_by(minutes=1)
    assert story.ends("Watchdog", "none") == "heartbeat"
    assert figures.figures(story.c).heartbeat == now


def test_an_incident_is_as_severe_as_its_worst_alert_ever_was(story: Story) -> None:
    told = []
    for name, severity in (("A", "warning"), ("B", "critical"), ("C", "warning")):
        story.fires(name, severity)
        told.append(story.incident.severity)
    story.ends("B")
    assert [*told, story.incident.severity] == ["warning", "critical", "critical", "critical"]


def test_a_silent_card_gets_one_ringing_call_when_it_becomes_critical(story: Story) -> None:
    story.fires("HighMemoryUsage", "warning")
    assert story.messages() == [("card", False)]
    card = messages.message_due(story.c)
    assert card is not None
    messages.delivered(story.c, card, "1001", story.clock.now())
    story.fires("ServiceDown", cause="app")
    story.fires("HighErrorRate")
    assert story.messages() == [("card", True), ("call", True)]


def test_a_card_not_yet_made_is_made_ringing_and_needs_no_call(story: Story) -> None:
    story.fires("HighMemoryUsage", "warning")
    story.fires("ServiceDown", cause="app")
    assert story.messages() == [("card", True)]


def test_what_is_only_for_the_digest_stands_apart(story: Story) -> None:
    """A deployment is news, no trouble: it has no card, and opens, holds and reopens nothing else."""
    assert story.fires("Deployed", "info") == "open"
    assert story.fires("DiscordNotificationFailures", "info") == "join"
    assert story.messages() == []
    assert story.fires("HighMemoryUsage", "warning") == "open"
    assert story.messages() == [("card", False)]
    story.ends("HighMemoryUsage", "warning")
    trouble, digest = sorted(story.all, key=lambda one: one.digest)
    assert not incidents.any_firing(story.c, trouble.id)
    assert incidents.any_firing(story.c, digest.id)
    assert incidents.resolve_incident(story.c, trouble.id, "well", story.clock.now())
    assert story.fires("Deployed", "info", cause="again") == "join"
    assert {one.id: one.state for one in story.all} == {trouble.id: "resolved", digest.id: "open"}
    assert story.fires("HighMemoryUsage", "warning") == "reopen"


def test_trouble_of_the_pipelines_own_says_nothing_of_what_is_watched(story: Story) -> None:
    story.fires("OutboxStuck", category="pipeline")
    assert not incidents.critical_fires(story.c)
    story.fires("ServiceDown", cause="app", category="health")
    assert incidents.critical_fires(story.c)


def test_a_thousand_ends_in_one_body(story: Story) -> None:
    numbered = [str(n) for n in range(1000)]
    story.take(body_of(*(alert("A", "firing", n=n) for n in numbered)))
    assert set(story.take(body_of(*(alert("A", "resolved", n=n) for n in numbered)))) == {"end"}
    history = read_history(story.c, story.incident.id, story.clock.now())
    assert history is not None
    assert not any(a.firing for a in history.alerts)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"])
def test_odd_times_can_be_read_again(story: Story, moment: str) -> None:
    story.take(body_of({**alert("A", "firing"), "startsAt": moment}))
    assert story.alerts[0].starts_at.year in (1, 9999)


def test_a_new_emergency_under_a_lingering_warning_begins_a_new_ladder_and_rings(
    story: Story,
) -> None:
    story.fires("HighMemoryUsage", "warning")
    story.clock.pass_by(hours=1)
    story.fires("ServiceDown", cause="app")
    assert story.messages() == [("card", True)], "not sent yet: it rings as it is made"
    story.c.execute("UPDATE messages SET message_id = '1', delivered = revision")
    for step in steps.steps(story.c, story.incident.id):
        if step.action != "rollback":
            steps.claim_step(story.c, step.id, "x", {}, story.clock.now())
            steps.end_step(story.c, step.id, "done", "", story.clock.now())
    story.ends("ServiceDown", cause="app")
    steps.drop_pending(story.c, story.incident.id, "over", story.clock.now())
    incidents.set_ladder(story.c, story.incident.id, None)  # as the worker does when it is calm
    began = story.clock.pass_by(hours=1)
    assert story.fires("ServiceDown", cause="app") == "join"
    waiting = [
        (s.action, (s.due_at - began).total_seconds())
        for s in steps.steps(story.c, story.incident.id)
        if s.state == "pending"
    ]
    assert waiting == [("restart", 0.0), ("rollback", 120.0), ("person", 600.0)]
    assert story.messages() == [("card", True), ("call", True)]


def test_a_flapping_service_does_not_ring_each_time(story: Story) -> None:
    story.fires("ServiceDown", cause="app")
    story.c.execute("UPDATE messages SET message_id = '1', delivered = revision")
    for _ in range(3):
        story.ends("ServiceDown", cause="app")
        steps.drop_pending(story.c, story.incident.id, "over", story.clock.now())
        story.over()
        story.clock.pass_by(minutes=4)
        assert story.fires("ServiceDown", cause="app") == "reopen"
    assert story.messages() == [("card", True), ("call", True)], "once in FLAP_WINDOW"


def test_a_warning_that_joins_does_not_stop_the_look_at_the_end(story: Story) -> None:
    story.fires("ServiceDown", cause="app")
    now = story.clock.pass_by(minutes=1)
    story.ends("ServiceDown", cause="app")
    story.fires("HighMemoryUsage", "warning")
    assert story.incident.check_at == now
    story.fires("HighErrorRate")
    assert story.incident.check_at is None
