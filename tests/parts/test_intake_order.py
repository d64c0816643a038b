"""Webhooks that come late, early, twice, in another order, or disagree: one truth comes of them."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from receiver.deciding.ending import judge_end
from receiver.deciding.gates import Confirmation
from receiver.settings import ReceiverSettings
from receiver.store import incidents, steps
from receiver.store.history import History, read_history
from receiver.telling.view import person_called, view_of
from tests.parts.intake_kit import Story, alert, body_of
from tests.parts.stores import Stores

SETTINGS = ReceiverSettings()


@pytest.fixture
def story(stores: Stores) -> Story:
    return Story(stores.connection())


def history(story: Story) -> History:
    found = read_history(story.c, story.incident.id, story.clock.now())
    assert found is not None
    return found


def calm(story: Story) -> None:
    """As the worker does it: what asked for steps is over, something milder still fires."""
    steps.drop_pending(story.c, story.incident.id, "over", story.clock.now())
    incidents.set_ladder(story.c, story.incident.id, None)


def down(status: str = "firing", **more: Any) -> dict[str, Any]:
    return {**alert("ServiceDown", status, cause="app"), **more}


@pytest.mark.parametrize(
    ("group", "status", "kind"),
    [("resolved", "firing", "open"), ("firing", "resolved", "stray end")],
)
def test_a_group_that_says_otherwise_does_not_count(
    story: Story, group: str, status: str, kind: str
) -> None:
    assert story.take(body_of(down(status), status=group)) == [kind]


def test_an_end_that_overtook_its_beginning_leaves_what_alertmanager_is_asked_about(
    story: Story,
) -> None:
    """The late firing opens an incident: that nothing fires any more is asked before each step."""
    assert story.take(body_of(down("resolved"))) == ["stray end"]
    assert story.take(body_of(down())) == ["open"]
    assert [s.state for s in steps.steps(story.c, 1)] == ["pending"] * 3


@pytest.mark.parametrize("moment", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_a_beginning_long_ago_or_to_come_counts_from_its_arrival(story: Story, moment: str) -> None:
    story.take(body_of(down(startsAt=moment)))
    assert story.incident.ladder_at == story.clock.now()
    assert story.take(body_of(down(startsAt="2026-03-01T01:00:00Z"))) == ["repeat"]


def test_a_body_in_which_one_ends_and_its_like_begins_ends_nothing(story: Story) -> None:
    story.take(body_of(down()))
    swapped = alert("ServiceDown", "firing", cause="app", instance="b")
    assert story.take(body_of(down("resolved"), swapped)) == ["join", "end"]
    assert [s.state for s in steps.steps(story.c, 1)] == ["pending"] * 3
    look = Confirmation(False, "well")
    firing = [one for one in story.alerts if one.firing]
    assert judge_end(history(story), firing, look).kind == "on", "one that asks still fires"


def test_the_same_alert_twice_in_one_body_is_one(story: Story) -> None:
    assert story.take(body_of(down(), down())) == ["open", "repeat"]
    assert story.take(body_of(down("resolved"), down("resolved"))) == ["end", "stray end"]
    assert len(story.alerts) == 1


def test_two_alertmanagers_of_which_one_lags_make_one_incident(story: Story) -> None:
    """A split pair: each tells everything, one of them later. Whatever the order, nothing is done twice."""
    a = [body_of(down()), body_of(down()), body_of(down("resolved"))]
    orders = set(itertools.permutations("aaabbb"))
    for order in random.Random(7).sample(sorted(orders), len(orders)):
        left = {"a": iter(a), "b": iter(a)}
        for who in order:
            story.clock.pass_by(seconds=20)
            story.take(next(left[who]))
        open_ones = [i for i in story.all if i.state == "open"]
        assert len(open_ones) == 1
        found = steps.steps(story.c, open_ones[0].id)
        assert len({(s.action, s.target) for s in found}) == len(found) == 3, order
        assert not incidents.any_firing(story.c, open_ones[0].id), "the last word was an end"
        for step in found:
            steps.end_step(story.c, step.id, "dropped", "", story.clock.now())
        assert incidents.resolve_incident(story.c, open_ones[0].id, "", story.clock.now())
        story.clock.pass_by(hours=1)


def test_a_warning_that_becomes_an_emergency_and_falls_back(story: Story) -> None:
    """The card shows how bad it is now; the record keeps how bad it was."""
    shown = []

    def look() -> None:
        view = view_of(history(story), SETTINGS)
        shown.append((view.severity, view.person_called))

    story.fires("HighMemoryUsage", "warning")
    look()
    story.fires("ServiceDown", cause="app")
    look()
    (call,) = [s for s in steps.steps(story.c, 1) if s.action == "person"]
    steps.claim_step(story.c, call.id, "", {}, story.clock.now())
    steps.end_step(story.c, call.id, "done", "called", story.clock.now())
    look()
    story.clock.pass_by(minutes=20)
    story.ends("ServiceDown", cause="app")
    look()  # its end is not confirmed yet
    calm(story)
    look()
    story.clock.pass_by(minutes=20)
    story.fires("ServiceDown", cause="app")
    look()
    assert shown == [
        ("warning", False),
        ("critical", False),
        ("critical", True),
        ("critical", True),
        ("warning", False),
        ("critical", False),
    ]
    assert story.incident.severity == "critical"


def test_what_is_over_keeps_its_worst_severity_and_that_a_person_was_called(story: Story) -> None:
    story.fires("HighMemoryUsage", "warning")
    story.fires("ServiceDown", cause="app")
    (call,) = [s for s in steps.steps(story.c, 1) if s.action == "person"]
    steps.claim_step(story.c, call.id, "", {}, story.clock.now())
    steps.end_step(story.c, call.id, "done", "called", story.clock.now())
    story.ends("ServiceDown", cause="app")
    calm(story)
    story.ends("HighMemoryUsage", "warning")
    story.over()
    view = view_of(history(story), SETTINGS)
    assert (view.severity, view.state) == ("critical", "resolved")
    assert person_called(history(story))
