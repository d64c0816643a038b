"""The command line as people and scripts meet it: exit codes, words, JSON, and nothing that drives a terminal."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import structlog
from click.testing import CliRunner

from receiver.deciding import gates
from sermon_monitor.cli import main
from tests.parts.cli_kit import Answer, Command
from tests.real.product import COMMAND

ROOT = Path(__file__).parents[2]
PAYLOADS = sorted((ROOT / "tests" / "payloads").rglob("*.json"))
HOSTILE = "A\x1b[2J\x07\n\u202e[red]x[/] :warning: \x9b31m"


@pytest.fixture
def monitor(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def inside(monitor: Command) -> Iterator[CliRunner]:
    """Runs in this process, for what is run many times; logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield CliRunner(env={**dict.fromkeys(os.environ), **monitor.environment})
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def commands(group: click.Group = main, *before: str) -> Iterator[tuple[str, ...]]:
    yield before
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_help_has_an_example(inside: CliRunner, words: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        answer = inside.invoke(main, [*words, option])
        assert answer.exit_code == 0
        assert "Example:" in answer.output


def test_version_and_wrong_usage(monitor: Command) -> None:
    answer = monitor.process("--version")
    assert (answer.code, version("sermon-monitor") in answer.out) == (0, True)
    assert monitor.process("no-such-verb").code == 2
    assert monitor("incidents", "--limit", "0").code == 2
    assert monitor.process("replay", "/no/such.json").code == 2


@pytest.mark.parametrize("words", [("check",), ("rules",), ("incidents",), ("explain", "A")])
def test_a_bad_setting_costs_one_line(monitor: Command, words: tuple[str, ...]) -> None:
    monitor.environment["COOLDOWN"] = "soon"
    answer = monitor(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("sermon-monitor: COOLDOWN='soon': ")


def test_check_lists_what_is_not_there_and_what_mends_it(monitor: Command) -> None:
    told = monitor("check", "--json")
    assert told.code == 1
    found = {finding["what"]: finding for finding in json.loads(told.out)}
    assert {k for k, v in found.items() if v["level"] == "problem"} == {
        "docker",
        "application",
        "MinIO",
    }
    assert all(f["mend"] for f in found.values() if f["level"] == "problem")
    assert found["policy"]["level"] == found["store"]["level"] == "ok"
    people = monitor("check")
    assert people.code == 1
    assert "problem" in people.out
    assert not monitor.state.exists(), "check changed something"


def test_check_tells_of_a_store_and_a_policy_that_cannot_be_used(
    monitor: Command, tmp_path: Path
) -> None:
    monitor.state.mkdir()
    (monitor.state / "receiver.sqlite3").write_bytes(b"no database " * 1000)
    table = tmp_path / "policy.yml"
    table.write_text("version: 1\nalerts: \x07 7")
    monitor.environment["POLICY_FILE"] = str(table)
    found = {f["what"]: f for f in json.loads(monitor("check", "--json").out)}
    assert found["store"]["level"] == found["policy"]["level"] == "problem"


def test_explain_shows_each_step_with_every_gate(monitor: Command) -> None:
    answer = monitor("explain", "ServiceDown", "cause=app")
    assert answer.code == 0
    for words in (
        "opens an incident",
        "restart app at 0s",
        "rollback at 2m",
        "person at 10m",
        "still firing",
        "switched on",
        "no maintenance",
        "confirmed",
        "cool-down and budget",
        "nothing in flight",
        "known-good target",
        "destination",
        "not dry",
        "still broken",
    ):
        assert words in answer.out
    told = json.loads(monitor("explain", "ServiceDown", "cause=app", "--json").out)
    assert [len(step["gates"]) for step in told["steps"]] == [len(gates.GATES), len(gates.GATES), 2]
    assert not monitor.state.exists(), "explain changed something"


def test_explain_of_anything(monitor: Command) -> None:
    for label in ("cause", "=app", ""):
        answer = monitor("explain", "ServiceDown", label)
        assert (answer.code, "LABEL=VALUE" in answer.err) == (2, True)
    answer = monitor("explain", HOSTILE, f"severity={HOSTILE}")
    assert answer.code == 0
    harmless(answer)
    assert "no steps" in answer.out


def harmless(answer: Answer) -> None:
    """Nothing in it drives a terminal; words stay as they are."""
    for text in (answer.out, answer.err):
        assert all(c.isprintable() or c == "\n" for c in text), repr(text)
    assert "[red]x[/] :warning:" in answer.out + answer.err


def test_replay_of_what_real_alertmanagers_sent(inside: CliRunner, monitor: Command) -> None:
    for path in PAYLOADS:
        answer = inside.invoke(main, ["replay", "--json", str(path)])
        assert answer.exit_code == 0, (path, answer.output, answer.exception)
        told = json.loads(answer.stdout)
        assert len(told) == len(json.loads(path.read_bytes())["alerts"])
        assert {one["decision"] for one in told} <= {"open", "join", "repeat", "end", "stray end"}
    assert not monitor.state.exists(), "replay changed something"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "body: "),
        (b"\x00\xff", "body: "),
        (b"[" * 100_000, "body: "),
        (b'{"version":"3"}', "version: "),
    ],
)
def test_replay_of_garbage(inside: CliRunner, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(content)
    answer = inside.invoke(main, ["replay", str(path)])
    assert answer.exit_code == 1
    assert "not a webhook body of version 4" in answer.stderr
    assert words in answer.stderr


def test_replay_of_hostile_labels(monitor: Command, tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    good = json.loads(PAYLOADS[0].read_bytes())
    good["alerts"][0]["labels"]["alertname"] = HOSTILE
    path.write_text(json.dumps(good))
    harmless(monitor("replay", path))
    good["alerts"][0]["labels"][HOSTILE] = 7
    path.write_text(json.dumps(good))
    answer = monitor("replay", path)
    assert answer.code == 1
    harmless(answer)


def test_incidents(monitor: Command) -> None:
    assert monitor("incidents").out == "no incidents\n"
    assert json.loads(monitor("incidents", "--json").out) == {"incidents": []}
    monitor.store(HOSTILE)
    answer = monitor("incidents")
    assert answer.code == 0
    harmless(answer)
    for words in ("open incident 1", "service A", "summary A", "verdict A"):
        assert words in answer.out
    as_json = monitor("incidents", "--json")
    (incident,) = json.loads(as_json.out)["incidents"]
    assert incident["alerts"][0]["name"] == HOSTILE
    assert all(c.isprintable() or c == "\n" for c in as_json.out)


def test_incidents_of_a_store_that_cannot_be_read(monitor: Command) -> None:
    monitor.state.mkdir()
    (monitor.state / "receiver.sqlite3").write_bytes(b"no database " * 1000)
    answer = monitor("incidents")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "not a database" in answer.err


def test_replay_of_a_pipe(inside: CliRunner, tmp_path: Path) -> None:
    answer = inside.invoke(main, ["replay", "--json", "-"], input=PAYLOADS[0].read_bytes())
    assert answer.exit_code == 0, answer.output
    assert inside.invoke(main, ["replay", "-"], input=b"{").exit_code == 1
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        answer = inside.invoke(main, ["replay", str(path)])
        assert answer.exit_code == 1
        assert f"{path}: not a regular file" in answer.stderr


def test_rules_are_the_shipped_ones_until_thresholds_say_otherwise(
    monitor: Command, tmp_path: Path
) -> None:
    shipped = (ROOT / "monitoring" / "alerts.yml").read_text(encoding="utf-8")
    assert monitor("rules") == (0, shipped, "")
    conf = tmp_path / "health-monitor.conf"
    conf.write_text("CPU_USAGE_THRESHOLD=42\n")
    changed = monitor("rules", "--conf", conf)
    assert changed.code == 0
    assert changed.out != shipped
    assert re.search(r"\b42\b", changed.out)


def test_secrets_are_made_once_and_shown(monitor: Command, tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    missing = monitor("secrets", "show", directory)
    assert (missing.code, "secrets init makes them" in missing.err) == (1, True)
    assert monitor("secrets", "init", directory).out.startswith("changed: webhook_token")
    assert directory.stat().st_mode & 0o005 == 0o005, "Grafana and Alertmanager read as other users"
    first = monitor("secrets", "show", directory)
    names = [line.partition(": ")[0] for line in first.out.splitlines()]
    assert names == ["webhook_token", "board_token", "grafana_admin_password"]
    assert monitor("secrets", "init", directory).out == "nothing was missing\n"
    assert monitor("secrets", "show", directory) == first
    (tmp_path / "file").write_text("")
    refused = monitor("secrets", "init", tmp_path / "file" / "below")
    assert (refused.code, refused.err.count("\n")) == (1, 1)


def test_a_table_is_compared_with_expectations(monitor: Command, tmp_path: Path) -> None:
    shipped = ROOT / "monitoring" / "policy_test.yml"
    answer = monitor("policy", "test", shipped)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith(" cases, all as expected\n")
    table = tmp_path / "policy.yml"
    policy = (ROOT / "monitoring" / "policy.yml").read_text(encoding="utf-8")
    table.write_text(
        policy.replace("[restart minio @0m, rollback minio @5m, person @10m]", "[person @5m]")
    )
    answer = monitor("policy", "test", shipped, "--policy", table)
    assert answer.code == 1
    assert (
        "MinIODown\n  steps\n  - expected: [restart minio @0s, rollback minio @5m, person @10m]\n  + is:       [person @5m]\n"
        in answer.out
    )
    told = json.loads(monitor("policy", "test", shipped, "--policy", table, "--json").out)
    assert [one["what"] for one in told["differences"]] == ["steps"]
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("tests: [{alert: 7, colour: red}]")
    answer = monitor("policy", "test", wrong)
    assert answer.code == 2
    assert f"{wrong}: tests.0.colour" in answer.err
    wrong.write_bytes(b"\xff\xfe")
    assert monitor("policy", "test", wrong).code == 1
    assert monitor("policy", "test", tmp_path / "none.yml").code == 2


@pytest.mark.parametrize("terminal", [False, True])
def test_status_goes_on_looking(monitor: Command, terminal: bool) -> None:
    """Elsewhere a line of JSON each; on a terminal in place. Ctrl-C ends it with the last look's health."""
    monitor.environment |= {"RECEIVER_LISTEN": "127.0.0.1:1", "TERM": "xterm"}
    ours, theirs = pty.openpty() if terminal else os.pipe()
    asked = [] if terminal else ["--json"]
    with subprocess.Popen(
        [COMMAND, "status", "--watch", "--every", "1", *asked],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=monitor.environment,
    ) as process:
        os.close(theirs)
        seen = b""
        while seen.count(b"not healthy" if terminal else b'"healthy": false') < 2:
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, said) == (1, b"")
    if not terminal:
        assert [json.loads(line)["healthy"] for line in seen.splitlines()[:2]] == [False] * 2


def test_status_without_anything(monitor: Command) -> None:
    monitor.environment["RECEIVER_LISTEN"] = "127.0.0.1:1"
    answer = monitor("status", "--json")
    assert answer.code == 1
    told = json.loads(answer.out)
    wrong = {part["what"] for part in told["parts"] if part["level"] == "problem"}
    assert wrong == {"service", "application", "MinIO", "Docker"}
    monitor.store(HOSTILE)
    people = monitor("status")
    assert people.code == 1
    assert people.out.startswith("not healthy, Sermon Monitor ")
    harmless(people)
    assert not re.search(r"\x1b", people.out)
