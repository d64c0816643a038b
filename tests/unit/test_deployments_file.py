"""The file of several deployments: what is refused, and what an entry has of the process's settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from receiver.hearing.alertmanager import Alert, Webhook
from receiver.hearing.sorting import Claim, Share, overlap, sort
from sermon_monitor.deployments import (
    OF_ONE,
    OF_PROCESS,
    Deployment,
    deployments,
    left_to_each,
    named,
)
from sermon_monitor.settings import Settings, load
from target.settings import SettingsError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TWO = """
deployments:
  - name: plains
    match: {host: plains}
    here: true
  - name: yonkers
    match: {host: yonkers}
    settings: {APP_URL: "http://10.8.0.2:8000", MINIO_URL: "http://10.8.0.2:9000", DOCKER_HOST: "tcp://10.8.0.2:2375"}
"""


def read(directory: Path, text: str, **process: str) -> tuple[Deployment, ...]:
    (directory / "deployments.yml").write_text(text)
    environ = {
        "DEPLOYMENTS_FILE": str(directory / "deployments.yml"),
        "STATE_DIR": str(directory / "state"),
        **process,
    }
    return deployments(load(None, environ), None, environ)


def refused(directory: Path, text: str, **process: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(directory, text, **process)
    assert all(str(directory) in line for line in caught.value.problems)
    return "\n".join(caught.value.problems)


def entry(name: str, **more: Any) -> dict[str, Any]:
    own = {
        "APP_URL": f"http://{name}:8000",
        "MINIO_URL": f"http://{name}:9000",
        "DOCKER_HOST": f"tcp://{name}:2375",
    }
    return {
        "name": name,
        "match": {"host": name},
        **more,
        "settings": own | more.get("settings", {}),
    }


def of(*entries: Mapping[str, Any]) -> str:
    return yaml.safe_dump({"deployments": [dict(one) for one in entries]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "file: allowed: KEY: VALUE lines"),
        ("deployments: []", "deployments: allowed: at least one entry"),
        ("deployments: x", "deployments: allowed: a list of entries"),
        ("deployments: [", "not YAML"),
        (f"deployments: {'[' * 1500}", "not YAML"),
        ("sites: []", "sites: no such key"),
        (of({"match": {"host": "a"}}), "deployments.0.name: is missing"),
        (of(entry("a", policy="x")), "policy: no such key; allowed in an entry: name, match"),
        (of(entry("a b")), "deployments.0.name: allowed: a to z"),
        (of(entry("-a")), "deployments.0.name: allowed: a to z"),
        (of(entry("a" * 33)), "deployments.0.name: allowed: a to z"),
        (of(entry("../b")), "deployments.0.name: allowed: a to z"),
        (of(entry("a"), entry("a", match={"host": "b"})), "a: the name stands there twice"),
        (of(entry("a", match={})), "a: match is missing"),
        (of(entry("a", match={"ho st": "x"})), "allowed: the name of a label"),
        (of(entry("a", match={"host": ""})), "allowed: the value that the label has"),
        (of(entry("a", match=["host"])), "match: allowed: KEY: VALUE lines"),
        (of(entry("a", default="maybe")), "default: allowed: true or false"),
        (of(entry("a", default=True), entry("b", default=True)), "default: true in a and b: allowed in one entry"),
        (of(entry("a", here=True), entry("b", here=True)), "here: true in a and b: allowed in one entry"),
        (of(entry("a"), entry("b", match={"host": "a"})), "a and b: one alert could match both"),
        (of(entry("a"), entry("b", match={"site": "b"})), "a and b: one alert could match both"),
        (of(entry("a", settings={"COOL": "x"})), "a: COOL: not a setting"),
        (of(entry("a", settings={"BOARD_TOKEN_FILE": "/x"})), "a: BOARD_TOKEN_FILE: is of the process"),
        (of(entry("a", settings={"RECEIVER_LISTEN": "x"})), "a: RECEIVER_LISTEN: is of the process"),
        (of(entry("a", settings={"EXPORTER_LISTEN": "x"})), "a: EXPORTER_LISTEN: is of the process"),
        (of(entry("a", settings={"WEB_CONFIG_FILE": "x"})), "a: WEB_CONFIG_FILE: is of the process"),
        (of(entry("a", settings={"CPU_USAGE_THRESHOLD": 5})), "a: CPU_USAGE_THRESHOLD: is of the process"),
        (of(entry("a", settings={"PUBLIC_URL": "http://x"})), "a: PUBLIC_URL: is of the process"),
        (of(entry("a", settings={"GITHUB_TOKEN": "s3cret"})), "a: GITHUB_TOKEN: a secret does not stand in this file"),
        (of(entry("a", settings={"DISCORD_WEBHOOK_URL": "s3cret"})), "name a file that has it, DISCORD_WEBHOOK_URL_FILE"),
        (of(entry("a", settings={"DATABASE_URL": "s3cret"})), "DATABASE_URL_FILE"),
        (of(entry("a", settings={"GITHUB_TOKEN_FILE": "/nowhere"})), "a: GITHUB_TOKEN_FILE: /nowhere: the file of GITHUB_TOKEN_FILE cannot be read"),
        (of(entry("a", settings={"CONTACTS": "x", "CONTACTS_FILE": "/x"})), "a: CONTACTS and CONTACTS_FILE: allowed: one of them"),
        (of(entry("a", settings={"MAX_ROLLBACKS_PER_DAY": "many"})), "a: MAX_ROLLBACKS_PER_DAY='many': allowed: a whole number"),
        (of(entry("a", settings={"COOLDOWN": "soon"})), "a: COOLDOWN='soon'"),
        (of(entry("a", settings={"OWN_HOST": "b"})), "a: OWN_HOST: is not the host of match (a)"),
        (of(entry("a", settings={"STATE_DIR": "/s"}), entry("b", settings={"STATE_DIR": "/s"})), "a and b: STATE_DIR: both have /s; it must differ"),
        (of(entry("a"), entry("b", settings={"APP_URL": "http://a:8000"})), "a and b: APP_URL: both have http://a:8000"),
        (of(entry("a"), entry("b", settings={"MINIO_URL": "http://a:9000/"})), "a and b: MINIO_URL: both have http://a:9000"),
        (of(entry("a"), entry("b", settings={"DOCKER_HOST": "tcp://a:2375"})), "a and b: DOCKER_HOST: both have tcp://a:2375, and APP_SERVICE or MINIO_SERVICE backend"),
        (of(*(entry(n, settings={"GITHUB_REPO": "x/y"}) for n in "ab")), "a and b: GITHUB_REPO: both have x/y with rollback.yml"),
        (of(*(entry(n, match={"site": n}, settings={"PROMETHEUS_URL": "http://p"}) for n in "ab")), "a and b: PROMETHEUS_URL: both have the same"),
        ("deployments:\n  - name: a\n    name: b\n", "name stands there twice"),
        (of(*(entry(f"n{n}") for n in range(33))), "allowed: at most 32 entries"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    said = refused(tmp_path, text)
    assert words in said
    assert "s3cret" not in said


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, of(entry("a", settings={"COOL": 1, "BOARD_TOKEN": "x"}), entry("a")))
    assert said.count("\n") >= 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    environ = {"DEPLOYMENTS_FILE": str(tmp_path / "none.yml")}
    with pytest.raises(SettingsError, match="the file of DEPLOYMENTS_FILE cannot be read"):
        deployments(load(None, environ), None, environ)


def test_a_command_must_say_which_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deployments.yml").write_text(TWO)
    with pytest.raises(SettingsError, match="--at plains: there is one deployment, without a name"):
        named("plains", None)
    monkeypatch.setenv("DEPLOYMENTS_FILE", str(tmp_path / "deployments.yml"))
    with pytest.raises(SettingsError, match=r"which deployment.*of: plains, yonkers"):
        named(None, None)
    with pytest.raises(SettingsError, match="--at shed: there is none of that name"):
        named("shed", None)
    settings, share = named("yonkers", None)
    assert (settings.own_host, share.name) == ("yonkers", "yonkers")


def test_without_the_setting_there_are_none() -> None:
    assert deployments(load(None, {}), None, {}) == ()


def test_what_is_of_one_alone_is_never_taken_over(tmp_path: Path) -> None:
    discord = "https://discord.com/api/webhooks/1/abcdefgh"
    plains, yonkers = read(
        tmp_path, TWO,
        DISCORD_WEBHOOK_URL=discord, CONTACTS="Anna", GITHUB_REPO="plains/sermons", GITHUB_TOKEN="t",
        HEARTBEAT_URL="http://hc/1", TIMEZONE="America/New_York", MAX_ROLLBACKS_PER_DAY="1",
        PUBLIC_URL="https://monitor.example", BOARD_TOKEN="b", ROOTFS="/host/rootfs",
    )  # fmt: skip
    assert plains.settings.discord_webhook_url is not None
    assert plains.settings.contacts == "Anna"
    assert (plains.settings.state_dir, plains.settings.machine) == (tmp_path / "state", "here")
    one = yonkers.settings
    told = (
        one.discord_webhook_url,
        one.contacts,
        one.github_repo,
        one.github_token,
        one.heartbeat_url,
    )
    assert told == (None, "", None, None, None)
    assert (one.timezone, one.max_rollbacks_per_day) == ("America/New_York", 1)
    assert one.state_dir == tmp_path / "state" / "at" / "yonkers"
    assert (one.machine, str(one.rootfs)) == ("elsewhere", "/")
    assert (plains.settings.own_host, one.own_host) == ("plains", "yonkers")
    assert one.public_url == "https://monitor.example/at/yonkers"
    assert (plains.settings.database_schema, one.database_schema) == ("sermon_monitor", "sermon_monitor_yonkers")  # fmt: skip


def test_settings_are_read_of_the_settings_file_too(tmp_path: Path) -> None:
    (tmp_path / "deployments.yml").write_text(TWO)
    config = tmp_path / "monitor.conf"
    config.write_text(
        f"DEPLOYMENTS_FILE={tmp_path}/deployments.yml\nTIMEZONE=Europe/Berlin\nDIGEST_AT=10:30\n"
    )
    settings = load(config, {})
    assert [one.settings.digest_at for one in deployments(settings, config, {})] == ["10:30"] * 2


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    """YAML would make 630 of 10:30, and false of off."""
    more = "{APP_URL: http://a, DIGEST_AT: 10:30, AUTO_ROLLBACK_ENABLED: no, DISCORD_MENTION: <@1>}"
    (one,) = read(tmp_path, f"deployments:\n  - {{name: a, match: {{host: a}}, settings: {more}}}\n")  # fmt: skip
    assert (one.settings.digest_at, one.settings.auto_rollback_enabled) == ("10:30", False)


def test_what_nobody_has_any_more_is_said(tmp_path: Path) -> None:
    alone = TWO.replace("    here: true\n", "")
    (tmp_path / "deployments.yml").write_text(alone)
    environ = {
        "DEPLOYMENTS_FILE": str(tmp_path / "deployments.yml"),
        "CONTACTS": "Anna",
        "GITHUB_REPO": "a/b",
    }
    settings = load(None, environ)
    said = left_to_each(settings, deployments(settings, None, environ))
    assert [words.partition(" ")[0] for words in said] == ["CONTACTS", "GITHUB_REPO"]
    assert left_to_each(settings, read(tmp_path, TWO)) == []


def test_every_setting_is_of_one_kind() -> None:
    names = {name.upper() for name in Settings.model_fields}
    assert names >= OF_PROCESS | OF_ONE
    assert not OF_PROCESS & OF_ONE


# Whose an alert is

A, B = Claim("a", {"host": "a"}), Claim("b", {"host": "b", "site": "x"})
FIRST, DEFAULT = (A, B), (A, Claim("b", {"host": "b", "site": "x"}, default=True))


def told(claims: tuple[Claim, ...], **labels: str) -> dict[str, list[Mapping[str, str]]]:
    alert = Alert.model_construct(
        status="firing", labels={"alertname": "X", **labels}, fingerprint="f", starts_at=NOW
    )
    webhook = Webhook(version="4", group_key="", status="firing", receiver="r", alerts=[alert])
    shares = [Share(claim.name, claims) for claim in claims]
    found = sort(webhook, shares, {"a": ("Beat",), "b": ("Beat", "X2")})
    return {name: [one.labels for one in part.alerts] for name, part in found.parts.items()}


@pytest.mark.parametrize(
    ("claims", "labels", "whose", "marked"),
    [
        (FIRST, {"host": "a"}, "a", False),
        (FIRST, {"host": "b", "site": "x"}, "b", False),
        (FIRST, {"host": "b"}, "a", True),
        (FIRST, {"host": "b", "site": "y"}, "a", True),
        (FIRST, {"host": "A"}, "a", True),
        (FIRST, {}, "a", True),
        (FIRST, {"host": "a", "deployment": "b"}, "b", False),
        (FIRST, {"host": "a", "deployment": "c"}, "a", False),
        (DEFAULT, {}, "b", False),
        (DEFAULT, {"host": "c"}, "b", False),
        (DEFAULT, {"host": "a", "site": "x"}, "a", False),
    ],
)
def test_an_alert_is_of_exactly_one(
    claims: tuple[Claim, ...], labels: dict[str, str], whose: str, *, marked: bool
) -> None:
    found = told(claims, **labels)
    assert list(found) == [whose]
    assert ("no_deployment" in found[whose][0]) is marked


def test_a_heartbeat_is_of_all_who_know_it() -> None:
    assert set(told(FIRST, alertname="Beat")) == {"a", "b"}
    assert set(told(FIRST, alertname="X2", host="a")) == {"b"}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"host": "a"}, {"host": "b"}, False),
        ({"host": "a"}, {"host": "a"}, True),
        ({"host": "a"}, {"host": "a", "site": "x"}, True),
        ({"host": "a", "site": "x"}, {"host": "a", "site": "y"}, False),
        ({"host": "a"}, {"site": "x"}, True),
        ({}, {"host": "a"}, False),
    ],
)
def test_overlap(one: dict[str, str], other: dict[str, str], *, both: bool) -> None:
    assert overlap(Claim("a", one), Claim("b", other)) is both
