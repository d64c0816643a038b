"""What Alertmanager lists: its answers, good and hostile, and what follows from the comparison."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver.hearing.listing import (
    MOST_CONFIG,
    Listing,
    ListingError,
    Source,
    compare,
    parse_groups,
    parse_status,
    settled,
)
from receiver.hearing.sorting import Claim, Share

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
CONFIG = """
route: {receiver: ours}
receivers:
- name: ours
  webhook_configs: [{url: <secret>}]
- name: direct
  discord_configs: [{webhook_url_file: /x}]
- name: nobody
"""
A, B, W = "a" * 16, "b" * 16, "0123456789abcdef"


def status(config: str = CONFIG, **changes: Any) -> dict[str, Any]:
    return {"uptime": "2026-03-07T22:00:00.123456789Z", "config": {"original": config}, **changes}


def listed(name: str, fingerprint: str, state: str = "active", **changes: Any) -> dict[str, Any]:
    return {
        "labels": {"alertname": name},
        "annotations": {"summary": "s"},
        "startsAt": "2026-03-07T22:30:00.000+01:00",
        "endsAt": "2026-03-07T23:30:00.000Z",
        "updatedAt": "2026-03-07T22:59:00.000Z",
        "fingerprint": fingerprint,
        "receivers": [{"name": "ours"}],
        "status": {"state": state, "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
        "generatorURL": "",
        **changes,
    }


def group(*alerts: Any, receiver: str = "ours") -> dict[str, Any]:
    return {"labels": {}, "receiver": {"name": receiver}, "alerts": list(alerts)}


def listing(*groups: Any) -> Listing:
    return parse_groups(list(groups), {"ours"}, ("Watchdog",))


def test_each_of_several_deployments_sees_its_own_and_one_sees_what_is_nobodys() -> None:
    keys = {"a": "a" * 16, "b": "b" * 16, "": "c" * 16}
    every = [
        listed("X", key, labels={"alertname": "X", **({"host": host} if host else {})})
        for host, key in keys.items()
    ]
    claims = [Claim(host, {"host": host}) for host in "ab"]
    for host, own in (("a", {keys["a"], keys[""]}), ("b", {keys["b"]})):
        found = parse_groups([group(*every)], {"ours"}, (), share=Share(host, claims))
        assert found.listed == set(found.active) == own
    nobodys = parse_groups([group(*every)], {"ours"}, (), share=Share("a", claims)).active[keys[""]]
    assert nobodys.service == "sermon-uploader (no deployment)"


def test_the_receivers_with_a_webhook_are_read_from_the_running_configuration() -> None:
    source = parse_status(status())
    assert source.hooks == {"ours"}
    assert source.up_since == datetime(2026, 3, 7, 22, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "up",
        {},
        {"uptime": "yesterday", "config": {"original": CONFIG}},
        status("receivers: 5"),
        status("receivers: [{name: [x]}]"),
        status("a: [unclosed"),
        status("[" * 200_000),
        status("x" * (MOST_CONFIG + 1)),
        status("!!python/object/apply:os.system [id]"),
        status("&a [*a]"),
        status("\x00"),
        status("receivers: [{name: &a [*a]}]"),
    ],
)
def test_a_status_that_is_not_alertmanagers(answer: object) -> None:
    with pytest.raises(ListingError, match="not Alertmanager's") as caught:
        parse_status(answer)
    assert len(str(caught.value)) < 300


def test_only_what_is_active_and_goes_to_us_may_be_opened() -> None:
    found = listing(
        group(listed("Down", A), listed("Watchdog", W)),
        group(listed("Down", A)),
        group(listed("Hushed", B, "suppressed"), listed("New", "c" * 16, "unprocessed")),
        group(listed("Elsewhere", "d" * 16), receiver="direct"),
    )
    assert list(found.active) == [A]
    assert found.active[A].starts_at == datetime(2026, 3, 7, 21, 30, tzinfo=UTC)
    assert found.active[A].status == "firing"
    assert found.listed == {A, B, W, "c" * 16, "d" * 16}
    assert found.fed


@pytest.mark.parametrize("state", ["suppressed", "unprocessed"])
def test_without_an_active_watchdog_nobody_feeds_it(state: str) -> None:
    assert not listing(group(listed("Down", A))).fed
    assert not listing(group(listed("Watchdog", W, state))).fed
    assert listing(group(listed("Watchdog", W), receiver="direct")).fed


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"status": "success"},
        [None],
        [{"receiver": {"name": "ours"}, "alerts": [{}]}],
        [group(listed("X", "not hexadecimal!"))],
        [group(listed("X", A, "resolved"))],
        [group(listed("X", A, startsAt="soon"))],
        [group(listed("X", A, labels={"alertname": 5}))],
        [group(listed("Fine", A)), group(listed("X", B, labels=[]))],
        [group(listed("X", A, labels={str(n): "" for n in range(1000)}))],
    ],
)
def test_groups_that_are_not_alertmanagers(answer: object) -> None:
    with pytest.raises(ListingError, match="not Alertmanager's"):
        parse_groups(answer, {"ours"}, ())


@pytest.mark.parametrize(
    ("up_minutes", "fed", "expected"),
    [(60, True, True), (2, True, False), (60, False, False), (-60, True, False)],
)
def test_who_has_just_started_knows_nothing_yet(
    up_minutes: float, fed: bool, expected: bool
) -> None:
    source = Source(NOW - timedelta(minutes=up_minutes), frozenset())
    assert settled(source, Listing(frozenset(), {}, fed), NOW, timedelta(minutes=2.5)) is expected


@pytest.mark.parametrize(
    ("before", "after", "since", "opened", "ended"),
    [
        ({}, {}, (), [A], []),
        ({A: 1}, {A: 1}, (), [], []),
        ({A: 1, B: 2}, {A: 1, B: 2}, (), [], [B]),
        ({A: 1}, {}, (), [], []),  # a webhook ended it meanwhile
        ({}, {A: 3}, (A,), [], []),  # a webhook opened it meanwhile
        ({}, {}, (A,), [], []),  # and ended it again
        ({}, {B: 4}, (B,), [A], []),  # newer than the answer
        ({B: 2}, {B: 4}, (B,), [A], []),  # ended and opened again meanwhile
        ({"by hand": 1}, {"by hand": 1}, (), [A], []),
        ({"sermon-monitor:WatchdogMissing": 1}, {"sermon-monitor:WatchdogMissing": 1}, (), [A], []),
    ],
)
def test_what_follows(
    before: dict[str, int],
    after: dict[str, int],
    since: tuple[str, ...],
    opened: list[str],
    ended: list[str],
) -> None:
    found = listing(group(listed("Down", A), listed("Watchdog", W)))
    plan = compare(found, before, after, since, settled=True)
    assert (list(plan.opened), list(plan.ended), plan.undecided) == (opened, ended, 0)
    unsettled = compare(found, before, after, since, settled=False)
    assert (list(unsettled.opened), list(unsettled.ended)) == (opened, [])
    assert unsettled.undecided == len(ended)
