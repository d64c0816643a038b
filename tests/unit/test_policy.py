"""policy.yml and decide(): tables of what an alert means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest

from receiver.deciding.decision import Standing, container_role, decide
from receiver.deciding.policy import Policy, PolicyError, parse_policy

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
SHIPPED = resources.files("monitoring").joinpath("policy.yml").read_text(encoding="utf-8")
FRESH = Standing(known=False)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(SHIPPED)


def labels(alertname: str, /, **more: str) -> dict[str, str]:
    return {"alertname": alertname, "service": "sermon-uploader", **more}


@pytest.mark.parametrize(
    ("standing", "firing", "kind"),
    [
        (Standing(known=False), True, "open"),
        (Standing(known=False, open_incident=3), True, "join"),
        (Standing(known=False, recent_incident=3), True, "reopen"),
        (Standing(known=True, open_incident=3), True, "repeat"),
        (Standing(known=True, open_incident=3), False, "end"),
        (Standing(known=False), False, "stray end"),
        (Standing(known=False, open_incident=3), False, "stray end"),
    ],
)
def test_kind(policy: Policy, standing: Standing, firing: bool, kind: str) -> None:
    said = decide(
        policy,
        "ServiceDown",
        labels("ServiceDown", cause="app"),
        "critical",
        firing=firing,
        standing=standing,
        now=NOW,
    )
    assert said.kind == kind
    assert "ServiceDown" in said.reason


def test_the_ladder_of_a_dead_service(policy: Policy) -> None:
    said = decide(
        policy,
        "ServiceDown",
        labels("ServiceDown", cause="app"),
        "critical",
        firing=True,
        standing=FRESH,
        now=NOW,
    )
    ladder = [(s.action, s.target, (s.due_at - NOW).total_seconds()) for s in said.steps]
    assert ladder == [("restart", "app", 0), ("rollback", "app", 120), ("person", "", 600)]
    assert said.ladder_at == NOW


def test_a_joining_alert_keeps_the_ladder_and_adds_only_what_is_new(policy: Policy) -> None:
    began = NOW - timedelta(minutes=1)
    standing = Standing(
        known=False,
        open_incident=1,
        ladder_at=began,
        taken=frozenset({("restart", "app"), ("person", "")}),
    )
    said = decide(
        policy,
        "HealthCheckFailing",
        labels("HealthCheckFailing"),
        "critical",
        firing=True,
        standing=standing,
        now=NOW,
    )
    assert [(s.action, s.due_at) for s in said.steps] == [
        ("rollback", began + timedelta(minutes=2))
    ]
    assert said.ladder_at == began


def test_a_reopened_incident_counts_anew_and_does_not_refill_its_budget(policy: Policy) -> None:
    standing = Standing(
        known=False,
        recent_incident=1,
        ladder_at=NOW - timedelta(minutes=9),
        taken=frozenset({("restart", "app")}),
    )
    said = decide(
        policy,
        "ServiceDown",
        labels("ServiceDown", cause="app"),
        "critical",
        firing=True,
        standing=standing,
        now=NOW,
    )
    assert [(s.action, (s.due_at - NOW).total_seconds()) for s in said.steps] == [
        ("rollback", 120),
        ("person", 600),
    ]


def test_a_person_is_called_again_when_an_incident_comes_back(policy: Policy) -> None:
    taken = frozenset(
        {("restart", "app"), ("rollback", "app")}
    )  # what this ladder did, and the one rollback
    standing = Standing(known=False, recent_incident=1, taken=taken)
    said = decide(
        policy,
        "ServiceDown",
        labels("ServiceDown", cause="app"),
        "critical",
        firing=True,
        standing=standing,
        now=NOW,
    )
    assert [s.action for s in said.steps] == ["person"]


def test_a_dead_minio_container_is_restarted_and_never_rolled_back(policy: Policy) -> None:
    about = labels("ContainerNotRunning", name="sermon-uploader-minio")
    said = decide(
        policy,
        "ContainerNotRunning",
        about,
        "critical",
        firing=True,
        standing=FRESH,
        now=NOW,
        minio_service=("sermon-uploader-minio",),
    )
    assert [(s.action, s.target) for s in said.steps] == [("restart", "minio"), ("person", "")]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("sermon-uploader-minio", "minio"),
        ("sermon-uploader-minio-1", "minio"),
        ("minio", "minio"),
        ("project_minio_1", "minio"),
        ("sermon-uploader-backend", "app"),
        ("minio-uploader", "app"),
        ("", "app"),
    ],
)
def test_whose_container(name: str, role: str) -> None:
    assert container_role(name, ("sermon-uploader-minio", "minio")) == role


@pytest.mark.parametrize("cause", ["", "unheard-of"])
def test_an_unknown_cause_gets_the_row_of_its_severity_and_no_steps(
    policy: Policy, cause: str
) -> None:
    said = decide(
        policy,
        "ServiceDown",
        labels("ServiceDown", cause=cause),
        "critical",
        firing=True,
        standing=FRESH,
        now=NOW,
    )
    assert said.row is not None
    assert (said.row.discord, said.row.mention, said.row.steps) == ("now", True, ())


def test_watchdog_opens_nothing(policy: Policy) -> None:
    said = decide(
        policy, "Watchdog", labels("Watchdog"), "info", firing=True, standing=FRESH, now=NOW
    )
    assert (said.kind, said.steps) == ("heartbeat", ())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 1", "version: 2", "version"),
        ("restart app @0m", "restart app", "ACTION [TARGET] @TIME"),
        ("restart app @0m", "reboot @0m", "ACTION [TARGET] @TIME"),
        ("restart app @0m", "restart disk @0m", "restart takes app or minio or container"),
        ("restart app @0m", "restart app @soon", "30s, 15m"),
        ("mention: true", "mention: loudly", "mention"),
        ("confirm: probe", "confirm: hope", "confirm"),
        ("recheck: 15s", "recheck: 0s", "at least 50ms"),
        ("  info: {discord: digest}", "", "no row for info"),
        ("alert: TargetMissing", "alert: HighErrorRate", "more than one row"),
        ("alert: TargetMissing", 'alert: ""', "alert: String should have at least 1 character"),
        ("match: {cause: app}", "match: {alertname: X}", "labels other than alertname"),
        ("alerts:", "alerts: [", "not YAML"),
        (SHIPPED, "", "policy.yml"),
        (SHIPPED, "[]", "policy.yml"),
    ],
)
def test_a_broken_policy_is_refused_in_words(old: str, new: str, words: str) -> None:
    assert old in SHIPPED
    with pytest.raises(PolicyError, match="policy") as caught:
        parse_policy(SHIPPED.replace(old, new))
    assert words in str(caught.value)


def test_what_only_asks_is_on_no_ladder(policy: Policy) -> None:
    began = NOW - timedelta(hours=1)
    for standing in (FRESH, Standing(known=False, open_incident=1, ladder_at=began)):
        said = decide(
            policy,
            "HighResponseTime",
            labels("HighResponseTime"),
            "warning",
            firing=True,
            standing=standing,
            now=NOW,
        )
        (step,) = said.steps
        assert (step.action, step.ask, step.due_at) == ("rollback", True, NOW)
        assert said.ladder_at == standing.ladder_at
        assert not said.rings
    assert not policy.asks(labels("HighResponseTime"), "warning")


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ("ask rollback @0m", "ask rollback app @0s"),
        ("ask  restart  minio @2m", "ask restart minio @2m"),
        ("rollback @2m", "rollback app @2m"),
    ],
)
def test_a_step_that_asks(step: str, shown: str) -> None:
    text = SHIPPED.replace("ask rollback @0m", step)
    (row,) = [r for r in parse_policy(text).alerts if r.alert == "HighResponseTime"]
    assert [str(one) for one in row.steps] == [shown]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("ask person @0m", "nobody is asked whether a person may be called"),
        ("ask @0m", "allowed: [ask] ACTION [TARGET] @TIME"),
        ("askrollback @0m", "allowed: [ask] ACTION [TARGET] @TIME"),
        ("ask ask rollback @0m", "allowed: [ask] ACTION [TARGET] @TIME"),
    ],
)
def test_a_step_that_cannot_ask(step: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(SHIPPED.replace("ask rollback @0m", step))
    assert words in str(caught.value)
