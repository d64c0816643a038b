"""The shipped rules and routes, judged by the real promtool, amtool, Prometheus and Alertmanager."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.traffic import BUCKETS
from target.durations import parse_duration
from target.rules import Thresholds, render_rules
from target.settings import SettingsError, read_settings
from tests.real.daemons import Binaries

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
TESTS = ("alerts_test.yml", "alerts_traps_test.yml", "alerts_slow_test.yml")
SLOW = [pytest.param(name, marks=pytest.mark.long) for name in TESTS[1:]]
"""They play days, which takes promtool minutes."""
ALWAYS = "Watchdog"
OF_A_HOST = "{{ with $labels.host }}@{{ . }}{{ end }}"
"""Of a service, where there are several hosts: docs/hosts.md."""


def alert_rules(text: str | None = None) -> list[dict[str, Any]]:
    groups = yaml.safe_load(text or (MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def ask(*command: str | Path, cwd: Path = MONITORING) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def accepts(*command: str | Path, cwd: Path = MONITORING) -> str:
    answer = ask(*command, cwd=cwd)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The shipped files, to be broken."""
    return Path(shutil.copytree(MONITORING, tmp_path / "monitoring"))


# --- rendering


def test_shipped_rules_are_the_rendering_of_the_defaults() -> None:
    assert render_rules(Thresholds()) == (MONITORING / "alerts.yml").read_text()


@pytest.mark.parametrize("number", ["{}", "{}.0", " {} "])
def test_defaults_written_out_render_as_shipped(number: str) -> None:
    conf = {
        name.upper(): number.format(info.default)
        for name, info in Thresholds.model_fields.items()
        if isinstance(info.default, int)
    }
    assert {"CPU_USAGE_THRESHOLD", "ERROR_THRESHOLD"} <= conf.keys()
    assert render_rules(read_settings(Thresholds, conf)) == render_rules(Thresholds())


def test_thresholds_stand_where_they_belong() -> None:
    conf = {
        "ERROR_THRESHOLD": "7",
        "HIGH_ERROR_RATE_THRESHOLD": "0.25",
        "HIGH_RESPONSE_TIME_THRESHOLD": "2500",
        "CONTAINER_RESTART_THRESHOLD": "6",
        "RESTART_TIME_WINDOW": "450",
        "MEMORY_USAGE_THRESHOLD": "81",
        "CPU_USAGE_THRESHOLD": "82.5",
        "DISK_USAGE_THRESHOLD": "83",
        "BACKUP_MAX_AGE": "26h",
    }
    rules = {
        r["alert"]: r["expr"] for r in alert_rules(render_rules(read_settings(Thresholds, conf)))
    }
    assert ">= 7" in rules["HealthCheckFailing"]
    assert "> 0.25" in rules["HighErrorRate"]
    assert ">= 7" in rules["HighErrorRate"]
    assert "> 0.25" in rules["UploadFailures"]
    assert "> 2.5\n" in rules["HighResponseTime"]
    assert "[15m]" in rules["ContainerRestarting"]
    assert "[7m30s]" in rules["ContainerCrashLooping"]
    assert rules["ContainerCrashLooping"].rstrip().endswith("> 6")
    assert "> 81" in rules["HighMemoryUsage"]
    assert "> 82.5" in rules["HighCPUUsage"]
    assert "> 83" in rules["HighDiskUsage"]
    assert "> 93600\n" in rules["BackupTooOld"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ERROR_THRESHOLD", "0"),
        ("ERROR_THRESHOLD", "2.5"),
        ("ERROR_THRESHOLD", "five"),
        ("HIGH_ERROR_RATE_THRESHOLD", "10"),
        ("HIGH_ERROR_RATE_THRESHOLD", "0"),
        ("HIGH_ERROR_RATE_THRESHOLD", "nan"),
        ("HIGH_RESPONSE_TIME_THRESHOLD", "5"),
        ("HIGH_RESPONSE_TIME_THRESHOLD", "1e999"),
        ("CONTAINER_RESTART_THRESHOLD", "-1"),
        ("RESTART_TIME_WINDOW", "30"),
        ("RESTART_TIME_WINDOW", "90.5"),
        ("RESTART_TIME_WINDOW", "a while"),
        ("MEMORY_USAGE_THRESHOLD", "100"),
        ("CPU_USAGE_THRESHOLD", "0"),
        ("DISK_USAGE_THRESHOLD", "90%"),
        ("BACKUP_MAX_AGE", "30m"),
        ("BACKUP_MAX_AGE", "never"),
        ("BACKUP_MAX_AGE", "5000.5"),
    ],
)
def test_a_threshold_out_of_bounds_is_refused_with_what_is_allowed(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings(Thresholds, {name: value})
    (line,) = refusal.value.problems
    assert line.startswith(f"{name}='{value}': allowed: ")


def test_faster_divides_every_duration_and_nothing_else(binaries: Binaries, tmp_path: Path) -> None:
    fast = render_rules(Thresholds(), faster=40)
    (tmp_path / "alerts.yml").write_text(fast)
    accepts(
        binaries.promtool, "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "alerts.yml"
    )
    # Windows, offsets, and where PromQL wants seconds: after "time() -", and as predict_linear's second.
    spans = re.compile(
        r"(?<=\[)\w+(?=\])|(?<=offset )\w+|(?<=time\(\) - )\d\S*|(?<=\], )\d\S*(?=\) <)"
    )
    for slow_rule, fast_rule in zip(alert_rules(), alert_rules(fast), strict=True):
        assert spans.sub("T", slow_rule["expr"]) == spans.sub("T", fast_rule["expr"])
        for slow_span, fast_span in zip(
            [*spans.findall(slow_rule["expr"]), slow_rule.get("for", "0")],
            [*spans.findall(fast_rule["expr"]), fast_rule.get("for", "0")],
            strict=True,
        ):
            assert parse_duration(fast_span) * 40 == parse_duration(slow_span)
    with pytest.raises(ValueError, match="from 1"):
        render_rules(Thresholds(), faster=0)


def test_the_slowest_threshold_can_be_seen_in_the_histogram() -> None:
    """A quantile never exceeds the last finite bucket: an alert above it would be dead."""
    widest = read_settings(Thresholds, {"HIGH_RESPONSE_TIME_THRESHOLD": "60000"})
    assert max(BUCKETS) > widest.high_response_time_threshold / 1000
    assert Thresholds().high_response_time_threshold / 1000 in BUCKETS


# --- what every rule must have


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule["alert"])
def test_a_rule_is_complete(rule: dict[str, Any]) -> None:
    labels, annotations = rule["labels"], rule["annotations"]
    assert labels["severity"] in {"critical", "warning", "info", "none"}
    assert labels["category"] in {
        "health",
        "performance",
        "resource",
        "container",
        "storage",
        "pipeline",
    }
    service = "sermon-monitor" if labels["category"] == "pipeline" else "sermon-uploader"
    assert labels["service"] == service + OF_A_HOST
    assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
    if rule["alert"] != ALWAYS:
        selectors = re.findall(r"\b[A-Za-z_:]+\{[^}]*(?:\{\d+\}[^}]*)*\}", rule["expr"])
        assert selectors
        assert all('job="sermon-uploader"' in selector for selector in selectors), selectors
        assert rule["for"]


# --- promtool


def test_promtool_accepts_the_rules(binaries: Binaries) -> None:
    accepts(binaries.promtool, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")


@pytest.mark.parametrize("file", [TESTS[0], *SLOW])
def test_rules_do_what_their_tests_say(file: str, binaries: Binaries) -> None:
    accepts(binaries.promtool, "test", "rules", file)


def test_promtool_accepts_the_configuration_and_refuses_a_broken_one(
    binaries: Binaries, copy: Path
) -> None:
    accepts(binaries.promtool, "check", "config", "prometheus.yml")
    rules = (copy / "alerts.yml").read_text()
    (copy / "alerts.yml").write_text(rules.replace("== 0", "=== 0"))
    assert ask(binaries.promtool, "check", "config", "prometheus.yml", cwd=copy).returncode != 0
    (copy / "alerts.yml").write_text(rules.replace("severity: critical\n", "severity: [critical\n"))
    assert ask(binaries.promtool, "check", "rules", "alerts.yml", cwd=copy).returncode != 0


# --- amtool


def test_amtool_accepts_the_configuration_and_refuses_a_broken_one(
    binaries: Binaries, copy: Path
) -> None:
    config = copy / "alertmanager.yml"
    accepts(binaries.amtool, "check-config", config)
    text = config.read_text()
    for broken in (
        text.replace("receiver: discord-direct", "receiver: nobody", 1),
        text.replace("send_resolved: true", "title: no such key", 1),
        text.replace("http://monitor:5001/alerts", "{{ .ExternalURL }}/alerts"),
    ):
        assert broken != text
        config.write_text(broken)
        assert ask(binaries.amtool, "check-config", config).returncode != 0


SECOND_PATH = ("TargetMissing", "MonitorDown", "OutboxStuck")
OURS, BOTH = "sermon-monitor", "discord-direct,sermon-monitor"


def _routes() -> Iterator[tuple[str, dict[str, str]]]:
    for rule in alert_rules():
        service = rule["labels"]["service"].removesuffix(OF_A_HOST)
        labels = {"alertname": rule["alert"], **rule["labels"], "service": service}
        second = rule["alert"] in SECOND_PATH or labels.get("cause") == "blind"
        yield (BOTH if second else OURS), labels
    yield OURS, {"alertname": "SomethingElse", "severity": "critical"}
    yield OURS, {"alertname": "SomethingElse", "severity": "info"}
    yield OURS, {"alertname": "NoLabels"}


@pytest.mark.parametrize(("receivers", "labels"), list(_routes()))
def test_an_alert_goes_where_it_should(
    receivers: str, labels: dict[str, str], binaries: Binaries
) -> None:
    words = [f"{name}={value}" for name, value in labels.items()]
    command = (binaries.amtool, "config", "routes", "test", "--config.file=alertmanager.yml")
    accepts(*command, f"--verify.receivers={receivers}", *words)
    other = OURS if receivers == BOTH else BOTH
    assert ask(*command, f"--verify.receivers={other}", *words).returncode != 0
