"""Settings: where they come from, which one wins, and the one line that each bad one costs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sermon_monitor.settings import CONFIG, NEEDS, Settings, load, without_effect
from target.settings import (
    MAX_FILE_BYTES,
    SettingsError,
    is_loopback,
    parse_settings_file,
    secret,
    split_address,
)

GUIDE = """\
# Health Monitor Configuration

# Monitoring intervals (seconds)
HEALTH_CHECK_INTERVAL=30
RESTART_TIME_WINDOW=300

# Thresholds
ERROR_THRESHOLD=5
HIGH_ERROR_RATE_THRESHOLD=0.1    # 10%
HIGH_RESPONSE_TIME_THRESHOLD=5000 # milliseconds
CONTAINER_RESTART_THRESHOLD=3
MEMORY_USAGE_THRESHOLD=90
CPU_USAGE_THRESHOLD=95
DISK_USAGE_THRESHOLD=95

# Rollback
AUTO_ROLLBACK_ENABLED=true
ROLLBACK_ON_HEALTH_FAILURE=true
ROLLBACK_ON_PERFORMANCE_DEGRADATION=true
ROLLBACK_ON_RESOURCE_EXHAUSTION=false
EMERGENCY_STOP_ON_CRITICAL=true

# Notifications and GitHub
DISCORD_WEBHOOK_URL=""
GITHUB_TOKEN=""
GITHUB_REPO=""
"""
TOKEN = "s3cret-T0ken-0123456789"
DISCORD = f"https://discord.com/api/webhooks/77/{TOKEN}"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "Health-Monitor.conf"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems(environ: dict[str, str], config: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(config, environ)
    found = caught.value.problems
    assert found
    assert all(line.isprintable() and len(line) < 300 for line in found)
    assert TOKEN not in str(caught.value)
    return found


def problem(environ: dict[str, str], config: Path | None = None) -> str:
    (only,) = problems(environ, config)
    return only


def test_nothing_is_needed() -> None:
    settings = load(None, {})
    assert settings.receiver_listen == "127.0.0.1:5001"
    assert settings.exporter_listen == "127.0.0.1:10980"
    assert settings.cooldown == timedelta(minutes=30)
    assert settings.discord_webhook_url is None


def test_the_guides_file_works_unchanged(tmp_path: Path) -> None:
    settings = load(written(tmp_path, GUIDE), {})
    assert settings.health_check_interval == timedelta(seconds=30)
    assert settings.restart_time_window == timedelta(minutes=5)
    assert settings.error_threshold == 5
    assert settings.high_error_rate_threshold == pytest.approx(0.1)
    assert settings.high_response_time_threshold == 5000
    assert settings.container_restart_threshold == 3
    assert settings.memory_usage_threshold == 90
    assert settings.cpu_usage_threshold == 95
    assert settings.disk_usage_threshold == 95
    assert settings.auto_rollback_enabled is True
    assert settings.rollback_on_health_failure is True
    assert settings.rollback_on_performance_degradation is True
    assert settings.rollback_on_resource_exhaustion is False
    assert settings.discord_webhook_url is None
    assert settings.github_token is None
    assert settings.github_repo is None


def test_what_has_no_effect_is_said() -> None:
    alone = {"GITHUB_WEBHOOK_SECRET": "x" * 16, "GITHUB_TOKEN_EXPIRES": "2026-12-31"}
    assert set(alone) == set(NEEDS)
    found = without_effect(load(None, alone))
    assert found == [f"{name} (without GITHUB_TOKEN)" for name in NEEDS]
    whole = {**alone, "GITHUB_TOKEN": TOKEN, "GITHUB_REPO": "a/b"}
    assert without_effect(load(None, whole)) == []


def test_the_environment_wins_and_an_empty_value_is_none(tmp_path: Path) -> None:
    config = written(tmp_path, "CONTACTS=file\nCOOLDOWN=1h\nAPP_URL=http://app:1\n")
    environ = {"CONTACTS": "environment", "COOLDOWN": "", CONFIG: str(config)}
    settings = load(None, environ)
    assert settings.contacts == "environment"
    assert settings.cooldown == timedelta(hours=1)
    assert settings.app_url == "http://app:1"
    assert load(None, {"COOLDOWN": "", "APP_URL": ""}).cooldown == timedelta(minutes=30)


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(f"{TOKEN}\n")
    assert secret(load(None, {"WEBHOOK_TOKEN_FILE": str(kept)}).webhook_token) == TOKEN
    both = {"WEBHOOK_TOKEN_FILE": str(kept), "WEBHOOK_TOKEN": "given"}
    assert secret(load(None, both).webhook_token) == "given"
    config = written(tmp_path, f"BOARD_TOKEN_FILE={kept}\n")
    assert secret(load(config, {}).board_token) == TOKEN


def test_names_that_end_in_file_themselves(tmp_path: Path) -> None:
    config = written(tmp_path, "COMPOSE_FILE=/opt/a/compose.yml\nPOLICY_FILE=/etc/policy.yml\n")
    settings = load(config, {})
    assert settings.compose_file == Path("/opt/a/compose.yml")
    assert settings.policy_file == Path("/etc/policy.yml")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("\n  \n# A=1\n", {}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("  A=1  # why", {"A": "1"}),
        ("A='# kept' # not", {"A": "# kept"}),
        ('A="two words"', {"A": "two words"}),
        ("A=", {"A": ""}),
        ("A=b=c", {"A": "b=c"}),
        ("A=$HOME`id`", {"A": "$HOME`id`"}),
        ("A=1\nA=2", {"A": "2"}),
    ],
)
def test_lines_of_a_file(text: str, values: dict[str, str]) -> None:
    assert parse_settings_file(text) == values


@pytest.mark.parametrize("line", ["A", "A = 1", "A=1 B=2", "1A=1", "A-B=1", "=1", 'A="', "\x00"])
def test_lines_that_cannot_be_read_are_numbered(line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings_file(f"OK=1\n{line}\n", "My.conf")
    (only,) = caught.value.problems
    assert only.startswith("My.conf:2: ")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_settings_file(text)
    except SettingsError:
        return


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\x00\xff\xfe", "not UTF-8"),
        (b"A=1\n" * MAX_FILE_BYTES, f"larger than {MAX_FILE_BYTES} bytes"),
        (b"HEALTH_CHECK_INTERVALL=30\n", "HEALTH_CHECK_INTERVALL: not a setting"),
        (b"NOT_OURS_FILE=/x\n", "NOT_OURS_FILE: not a setting"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, words: str) -> None:
    path = written(tmp_path, content)
    said = problem({}, path)
    assert words in said
    assert str(path) in said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert str(missing) in problem({}, missing)
    assert "directory" in problem({}, tmp_path)
    said = problem({"GITHUB_TOKEN_FILE": str(missing)})
    assert said.startswith("GITHUB_TOKEN_FILE: ")
    assert str(missing) in said


def test_an_unknown_name_in_the_environment_is_not_ours() -> None:
    load(None, {"SOMETHING_ELSE": "1", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("APP_URL", "localhost:8000", "http://HOST"),
        ("APP_URL", "ftp://host", "http://HOST"),
        ("PROMETHEUS_URL", "http://host:99999", "http://HOST"),
        ("APP_URL", "http://[::1", "http://HOST"),
        ("APP_HEALTH_PATH", "/h?key=1", "without a query"),
        ("APP_CONTAINERS", "a{99999999999999}", "a regular expression"),
        ("APP_CONTAINERS", "(" * 3000, "a regular expression"),
        ("APP_HEALTH_PATH", "health", "begins with /"),
        ("APP_CONTAINERS", "(", "regular expression"),
        ("APP_HEALTH_BODY", "x" * 201, "up to 200 characters"),
        ("MINIO_HEALTH_BODY", " * ", "up to 200 characters"),
        ("RECEIVER_LISTEN", "5001", "HOST:PORT"),
        ("EXPORTER_LISTEN", "127.0.0.1:99999", "HOST:PORT"),
        ("COOLDOWN", "soon", "30s, 15m"),
        ("FLAP_WINDOW", "-5m", "30s, 15m"),
        ("GOOD_AFTER", "1000d", "366d"),
        ("HEALTH_CHECK_INTERVAL", "10ms", "1s and longer"),
        ("RESTART_TIME_WINDOW", "1s", "from 1m to 6h"),
        ("ERROR_THRESHOLD", "0", "whole number from 1"),
        ("HIGH_ERROR_RATE_THRESHOLD", "10", "a share"),
        ("CPU_USAGE_THRESHOLD", "ninety", "percent"),
        ("MAX_BODY_BYTES", "12", "allowed: a number from 1024 to 67108864"),
        ("MAX_ROLLBACKS_PER_DAY", "many", "allowed: a whole number from 0 to 100"),
        ("DRY_RUN", "perhaps", "allowed: true or false"),
        ("AUTO_ROLLBACK_ENABLED", "2", "allowed: true or false"),
        ("DISCORD_MENTION", "@everyone", "@here"),
        ("GITHUB_REPO", "no-slash", "OWNER/NAME"),
        ("ROLLBACK_WORKFLOW", "../x.yml", r"allowed: what matches ^[\w.-]+\.ya?ml$"),
        ("LOG_FORMAT", "xml", "allowed: 'text' or 'json'"),
        ("LOG_LEVEL", "verbose", "'debug'"),
        ("CONTACTS", "x" * 1001, "allowed: up to 1000 characters"),
        ("DOCKER_HOST", "/var/run/docker.sock", "unix:///ABSOLUTE/PATH"),
        ("DOCKER_HOST", "unix://run/docker.sock", "unix:///ABSOLUTE/PATH"),
        ("DOCKER_HOST", "ssh://pi", "tcp://HOST:PORT"),
        ("DOCKER_HOST", "npipe:////./pipe/docker", "tcp://HOST:PORT"),
        ("DOCKER_HOST", "tcp://pi", "tcp://HOST:PORT"),
        ("DOCKER_HOST", "tcp://pi:0", "tcp://HOST:PORT"),
        ("DOCKER_HOST", "tcp://pi:65536", "tcp://HOST:PORT"),
        ("APP_SERVICE", " , ", "one or more names"),
        ("APP_SERVICE", "app,-x", "one or more names"),
        ("MINIO_SERVICE", "mi/nio", "one or more names"),
        ("COMPOSE_PROJECT_DIR", "sermon-uploader", "begins with /"),
        ("BACKUP_DIR", "./backups", "begins with /"),
        ("CGROUP_ROOT", "sys", "begins with /"),
        ("PROC_ROOT", "proc", "begins with /"),
        ("ROOTFS", ".", "begins with /"),
        ("LOG_DIR", "~/log", "begins with /"),
        ("STATE_DIR", "state", "begins with /"),
        ("APP_URL", "http://a\nb\x1b[2J", "http://HOST"),
    ],
)
def test_a_bad_value_costs_one_line(name: str, value: str, allowed: str) -> None:
    said = problem({name: value})
    assert said.startswith(f"{name}={value!r}"[:60])
    assert allowed in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISCORD_WEBHOOK_URL", f"https://example.org/api/webhooks/77/{TOKEN}"),
        ("DISCORD_WEBHOOK_URL", f"http://discord.com/api/webhooks/77/{TOKEN}"),
        ("DISCORD_WEBHOOK_URL", TOKEN),
        ("PROMETHEUS_URL", f"http://admin:{TOKEN}@prometheus:9090"),
        ("PROMETHEUS_URL", f"http://admin:p@{TOKEN}@prometheus:9090"),
    ],
)
def test_a_secret_is_not_shown(name: str, value: str) -> None:
    assert problem({name: value}).startswith(f"{name}=")


def test_every_problem_is_told_at_once() -> None:
    found = problems({"COOLDOWN": "x", "APP_URL": "y", "DRY_RUN": "z"})
    assert sorted(line.partition("=")[0] for line in found) == ["APP_URL", "COOLDOWN", "DRY_RUN"]


@pytest.mark.parametrize(
    "host",
    [
        "unix:///run/docker.sock",
        "tcp://pi:2375",
        "http://[::1]:2375",
        "https://docker.example:2376",
    ],
)
def test_hosts_of_docker(host: str) -> None:
    assert load(None, {"DOCKER_HOST": host}).docker_host == host


def test_names_by_comma_or_space() -> None:
    assert load(None, {"APP_SERVICE": " a, b_1 c.d ,"}).app_service == ("a", "b_1", "c.d")


@pytest.mark.parametrize("exporter", ["127.0.0.1:5001", "localhost:5001"])
def test_both_halves_cannot_listen_at_one_place(exporter: str) -> None:
    said = problem({"EXPORTER_LISTEN": exporter, "RECEIVER_LISTEN": "127.0.0.1:5001"})
    assert f"EXPORTER_LISTEN={exporter}" in said
    assert "RECEIVER_LISTEN" in said
    load(None, {"EXPORTER_LISTEN": "127.0.0.1:0", "RECEIVER_LISTEN": "127.0.0.1:0"})


@pytest.mark.parametrize("address", ["0.0.0.0:5001", ":5001", "[::]:5001", "monitor:5001"])
def test_without_tokens_only_this_machine_may_call(address: str) -> None:
    said = problem({"RECEIVER_LISTEN": address})
    assert address in said
    assert "WEBHOOK_TOKEN and BOARD_TOKEN are needed" in said
    half = {"RECEIVER_LISTEN": address, "WEBHOOK_TOKEN": TOKEN}
    assert "BOARD_TOKEN" in problem(half)
    assert load(None, {**half, "BOARD_TOKEN": TOKEN}).receiver_listen == address


def test_a_token_without_a_repository() -> None:
    assert "GITHUB_REPO" in problem({"GITHUB_TOKEN": TOKEN})


@pytest.mark.parametrize(
    ("address", "host", "port", "loopback"),
    [
        ("127.0.0.1:5001", "127.0.0.1", 5001, True),
        ("127.9.9.9:1", "127.9.9.9", 1, True),
        ("localhost:80", "localhost", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[0:0:0:0:0:0:0:1]:80", "0:0:0:0:0:0:0:1", 80, True),
        ("[::]:80", "::", 80, False),
        (":80", "0.0.0.0", 80, False),
        ("10.0.0.1:80", "10.0.0.1", 80, False),
        ("127.0.0.1.example.org:80", "127.0.0.1.example.org", 80, False),
    ],
)
def test_addresses(address: str, host: str, port: int, loopback: bool) -> None:
    assert split_address(address) == (host, port)
    assert is_loopback(address) is loopback


def test_no_secret_in_any_form_of_the_settings() -> None:
    names = ("WEBHOOK_TOKEN", "BOARD_TOKEN", "GITHUB_TOKEN")
    environ = dict.fromkeys(names, TOKEN) | {"GITHUB_REPO": "a/b", "DISCORD_WEBHOOK_URL": DISCORD}
    settings = load(None, environ)
    assert secret(settings.discord_webhook_url) == DISCORD
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert TOKEN not in text
    assert isinstance(settings, Settings)
