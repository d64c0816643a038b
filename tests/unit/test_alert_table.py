"""The table of alerts is complete: rule, policy, tests on both sides, runbook, documentation, and nothing besides."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from receiver.deciding.policy import Row, load_policy

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
RUNBOOK_URL = (
    "https://github.com/White-Plains-Gospel-Chapel/sermon-monitor/blob/main/docs/runbooks/{}.md"
)
TEST_FILES = ("alerts_test.yml", "alerts_traps_test.yml", "alerts_slow_test.yml")
PAGE = ("What happens by itself", "Look first", "Do", "Call", "Over when")
ALWAYS = "Watchdog"


class Wanted(NamedTuple):
    """One row of the contract: what kind of alert it is, how it is told, what follows and when."""

    severity: str
    discord: str
    mention: bool
    confirm: str
    steps: tuple[str, ...] = ()


PROBE = ("restart app @0s", "rollback app @2m", "person @10m")
LOOK = ("investigate container @0s",)
TABLE = {
    ("ServiceDown", "app"): Wanted("critical", "now", True, "probe", PROBE),
    ("ServiceDown", "blind"): Wanted("critical", "now", True, "probe", PROBE),
    ("TargetMissing", ""): Wanted("critical", "now", True, "none", ("person @0s",)),
    ("HealthCheckFailing", ""): Wanted("critical", "now", True, "probe", PROBE),
    ("ContainerNotRunning", ""): Wanted("critical", "now", True, "container", ("restart container @0s", *PROBE[1:])),
    ("MinIODown", ""): Wanted("critical", "now", True, "minio", ("restart minio @0s", "rollback minio @5m", "person @10m")),
    ("HighErrorRate", ""): Wanted("critical", "now", True, "signal", ("rollback app @0s", "person @10m")),
    ("UploadFailures", ""): Wanted("critical", "now", True, "signal", ("rollback app @0s", "person @10m")),
    ("HighResponseTime", ""): Wanted("warning", "grouped", False, "signal", ("ask rollback app @0s",)),
    ("HighMemoryUsage", ""): Wanted("warning", "grouped", False, "signal", ("ask rollback app @0s",)),
    ("HighCPUUsage", ""): Wanted("warning", "grouped", False, "signal", ("ask rollback app @0s",)),
    ("HighDiskUsage", ""): Wanted("critical", "now", False, "signal", ("cleanup safe @0s", "ask cleanup images @2m", "person @10m")),
    ("ContainerRestarting", ""): Wanted("warning", "grouped", False, "none", LOOK),
    ("ContainerOOMKilled", ""): Wanted("warning", "grouped", False, "none", LOOK),
    ("ContainerCrashLooping", ""): Wanted("critical", "now", True, "container", (*LOOK, "rollback app @0s", "person @10m")),
    ("DockerDaemonDown", ""): Wanted("critical", "now", True, "none", ("person @0s",)),
    **{
        (name, ""): Wanted("warning", "grouped", False, "none")
        for name in ("DiskSpaceRunningOut", "PossibleMemoryLeak", "ContainerUnhealthy", "MinIOConnectionFailures", "BackupTooOld", "BackupDrillFailed", "RollbackNotReady")
    },
    **{
        (name, ""): Wanted("critical", "now", True, "none", ("person @0s",))
        for name in ("MonitorDown", "OutboxStuck")
    },
    **{
        (name, ""): Wanted("info", "digest", False, "none")
        for name in ("DiscordNotificationFailures", "Deployed")
    },
    (ALWAYS, ""): Wanted("none", "never", False, "none"),
}  # fmt: skip
NAMES = sorted({name for name, _ in TABLE})


def rules() -> dict[tuple[str, str], dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    found = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    keys = [(rule["alert"], rule["labels"].get("cause", "")) for rule in found]
    assert len(keys) == len(set(keys)), "two rules cannot be told apart"
    return dict(zip(keys, found, strict=True))


@cache
def promtool_tests() -> list[dict[str, Any]]:
    return [
        test
        for name in TEST_FILES
        for test in yaml.safe_load((MONITORING / name).read_text())["tests"]
    ]


def row_of(name: str, cause: str) -> Row:
    labels = {"alertname": name, **rules()[name, cause]["labels"]}
    (row,) = [r for r in load_policy(MONITORING / "policy.yml").alerts if r.matches(labels)]
    return row


def test_there_are_these_alerts_and_no_others() -> None:
    assert set(rules()) == set(TABLE)
    policy = load_policy(MONITORING / "policy.yml")
    assert {row.alert for row in policy.alerts} == set(NAMES) - {ALWAYS}
    assert policy.heartbeat == (ALWAYS,)
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(NAMES)
    assert set(re.findall(r"^\| \[(\w+)\]", documentation(), re.M)) == set(NAMES)
    tested = {case["alertname"] for test in promtool_tests() for case in test.get("alert_rule_test", [])}  # fmt: skip
    assert tested == set(NAMES)


@pytest.mark.parametrize(("name", "cause"), TABLE)
def test_a_rule_and_its_row_are_what_the_table_says(name: str, cause: str) -> None:
    wanted = TABLE[name, cause]
    labels = rules()[name, cause]["labels"]
    assert labels["severity"] == wanted.severity
    if name == ALWAYS:
        return
    row = row_of(name, cause)
    assert (row.severity, row.category) == (labels["severity"], labels["category"])
    assert (row.discord, row.mention, row.confirm) == wanted[1:4]
    assert tuple(str(step) for step in row.steps) == wanted.steps


@pytest.mark.parametrize(("name", "cause"), TABLE)
def test_an_alert_is_tested_on_both_sides(name: str, cause: str) -> None:
    """In one test and on one set of series, so that what lies between is the threshold or the time."""
    fires, silent = set(), set()
    for number, test in enumerate(promtool_tests()):
        for case in test.get("alert_rule_test", []):
            if case["alertname"] != name:
                continue
            causes = {one["exp_labels"].get("cause", "") for one in case["exp_alerts"]}
            if cause in causes:
                fires.add(number)
            elif not causes:
                silent.add(number)
    assert fires, f"no test in which {name} {cause} fires"
    assert name == ALWAYS or fires & silent, f"no test of {name} {cause} on both sides"


def documentation() -> str:
    return (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "cause"), TABLE)
def test_the_documentation_says_the_same(name: str, cause: str) -> None:
    rule = rules()[name, cause]
    shown = f"[{name}](#{name.lower()})" + (f" `cause={cause}`" if cause else "")
    lines = [line for line in documentation().splitlines() if line.startswith(f"| {shown} |")]
    (row,) = [re.split(r" *(?<!\\)\| *", line)[1:-1] for line in lines]
    assert row[2:] == [rule.get("for", "–"), rule["labels"]["severity"], rule["labels"]["category"]]
    assert f"\n## {name}\n" in documentation()
    assert f"(runbooks/{name}.md)" in documentation()


@pytest.mark.parametrize(("name", "cause"), TABLE)
def test_a_card_links_to_a_page_that_says_what_to_do(name: str, cause: str) -> None:
    assert rules()[name, cause]["annotations"]["runbook_url"] == RUNBOOK_URL.format(name)
    page = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    title, _, rest = page.partition("\n")
    assert title == f"# {name}"
    assert tuple(re.findall(r"^## (.+)$", rest, re.M)) == PAGE
    assert all(part.strip() for part in re.split(r"^## .+$", rest, flags=re.M))
    assert "```sh\n" in rest
    assert len(page.splitlines()) < 60, "a page, at two in the morning"
