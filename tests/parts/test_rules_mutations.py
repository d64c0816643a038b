"""Each test of the rules is worth something: a change of the shipped rules that one of them must notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.test_rules import TESTS, ask, copy
from tests.real.daemons import Binaries

__all__ = ["copy"]  # the fixture

MUTATIONS = [
    ("the application", ' == 0\n        for: 1m', ' == 0\n        for: 2m'),
    ("HealthCheck", "} >= 5\n        for: 1m", "} > 5\n        for: 1m"),
    ("HealthCheck", "} >= 5\n        for: 1m", "} >= 4\n        for: 1m"),
    ("three restarts", ',component="app"', ""),
    ("HighErrorRate", ":recent{job=\"sermon-uploader\"} >= 5", ":recent{job=\"sermon-uploader\"} >= 4"),
    ("HighErrorRate", ":recent{job=\"sermon-uploader\"} >= 5", ":recent{job=\"sermon-uploader\"} >= 6"),
    ("HighErrorRate", "> 0.1\n", ">= 0.1\n"),
    ("our own restart is neither", "unless resets(job:", "unless 0 * resets(job:"),
    ("our own restart is neither", "or sum by (job, host) (floor(", "or 0 * sum by (job, host) (floor("),
    ("slow uploads", "|uploads?(/.*)?", "|upload"),
    ("slow uploads", 'unless on (job, host) sermon_uploader_up{job="sermon-uploader"} == 0', ""),
    ("HighResponseTime", "histogram_quantile(0.95", "histogram_quantile(0.97"),
    ("HighResponseTime", "for: 5m", "for: 4m"),
    ("HighMemoryUsage", ") > 90\n", ") >= 90\n"),
    ("HighCPUUsage", ") > 95", ") > 97"),
    ("HighCPUUsage", ") > 95", ") > 93"),
    ("a slow card", 'mode=~"idle|iowait"', 'mode="idle"'),
    ("a disk is full", "node_filesystem_avail_bytes", "node_filesystem_free_bytes"),
    ("a disk is full", "|squashfs", ""),
    ("a container that is gone", ',name!~"[0-9a-f]{12}_.+|.+-run-[0-9a-f]{12}"', ""),
    ("an Engine that does not", ' and on (job, host) sermon_monitor_collector_success{job="sermon-uploader",collector="containers"} == 1', ""),
    ("no container at all", "or max by (job, host) (sermon_monitor", "and max by (job, host) (sermon_monitor"),
    ("of two hosts", "by (job, host) ", "by (job) "),
    ("ContainerCrashLooping", "  ) > 3", "  ) >= 3"),
    ("ContainerCrashLooping", "  ) > 3", "  ) > 4"),
    ("ContainerRestarting", "- min_over_time(container_restarts_total{job=\"sermon-uploader\"}[5m])", "- min_over_time(container_restarts_total{job=\"sermon-uploader\"}[10m])"),
    ("a loop of recreations", "or floor(increase(container_restarts_total", "or 0 * floor(increase(container_restarts_total"),
    ("MinIOConnectionFailures, one", 'connection_errors:recent{job="sermon-uploader"} >= 1', 'connection_errors:recent{job="sermon-uploader"} > 1'),
    ("MinIOConnectionFailures, none", 'connection_errors:recent{job="sermon-uploader"} >= 1', 'connection_errors:recent{job="sermon-uploader"} >= 0'),
    ("the first failure", 'notification_errors:recent{job="sermon-uploader"} >= 1', 'notification_errors:recent{job="sermon-uploader"} >= 2'),
    ("Deployed", "for: 0s", "for: 15s"),
    ("BackupTooOld", "> 691200", ">= 691200"),
    ("backups that are gone", "or 0 * (", "and 0 * ("),
    ("an exporter that is gone", '\n            and on (job, host) up{job="sermon-uploader"} == 1', ""),
    ("no backup has ever", "max by (job, host) (last_over_time(sermon_uploader_backup_age_seconds{job=\"sermon-uploader\"}[7d]))", 'max by (job, host) (up{job="sermon-uploader"})'),
    ("OutboxStuck", "oldest_seconds{job=\"sermon-uploader\"} > 600", "oldest_seconds{job=\"sermon-uploader\"} >= 600"),
    ("RollbackNotReady", "rollback_ready{job=\"sermon-uploader\"} == 0\n        for: 15m", "rollback_ready{job=\"sermon-uploader\"} == 0\n        for: 10m"),
    ("RollbackNotReady", "rollback_ready{job=\"sermon-uploader\"} == 0", "rollback_ready == 0"),
    ("who has no health check", 'status="unhealthy"', 'status!="healthy"'),
    ("who has no health check", "for: 2m\n        labels:\n          severity: warning\n          category: container", "for: 1m\n        labels:\n          severity: warning\n          category: container"),
    ("ContainerOOMKilled, one", '\n          and on (job, instance) last_over_time(up{job="sermon-uploader"}[1d] offset 30m)', ""),
    ("kills of last week", 'unless last_over_time(container_oom_events_total{job="sermon-uploader"}[1d] offset 30m)', 'unless container_oom_events_total{job="sermon-uploader"} offset 30m'),
    ("a kill is not lost", 'or container_oom_events_total{job="sermon-uploader"} > 0', 'or container_oom_events_total{job="sermon-uploader"} > 99'),
    ("a kill is not lost", "or floor(increase(container_oom_events_total", "or 0 * floor(increase(container_oom_events_total"),
    ("the Engine's outage", '            unless on (job, instance) sermon_monitor_collector_success{job="sermon-uploader",collector="containers"} == 0,', "            ,"),
    ("the Engine's outage", 'collector=~"host|probes|process"', 'collector!~"access_log|containers"'),
    ("receivers", '(\n              sermon_monitor_webhooks_total{job="sermon-uploader"}\n', '(\n              0 * sermon_monitor_webhooks_total{job="sermon-uploader"} > 0\n'),
    ("receivers", 'outcome="unavailable"}[5m]) > 0', 'outcome="unavailable"}[5m]) >= 0'),
    ("receivers", '_last_seen_timestamp_seconds{job="sermon-uploader"} > 600', '_last_seen_timestamp_seconds{job="sermon-uploader"} > 900'),
    ("receivers", 'process_start_time_seconds{job="sermon-uploader"} > 600', 'process_start_time_seconds{job="sermon-uploader"} > 900'),
    ("DiskSpaceRunningOut, while", "< 0.3\n", "< 0.32\n"),
    ("DiskSpaceRunningOut, a pace", ", 86400) < 0", ", 864000) < 0"),
    ("DiskSpaceRunningOut, at", "for: 2h", "for: 1h"),
    ("one large copy", '\n          and predict_linear(mount:node_filesystem_avail_bytes:storage{job="sermon-uploader"}[1h], 86400) < 0', ""),
    ("nor is it running out", "[3d] offset 6h", "[3d] offset 15m"),
    ("a disk that fills up", "< 0.9 * min_over_time", "< 99 * min_over_time"),
    ("PossibleMemoryLeak, 31", ">= 33554432", ">= 32505000"),
    ("PossibleMemoryLeak, slow", ":rise{job=\"sermon-uploader\"} * 12", ":rise{job=\"sermon-uploader\"} * 120"),
    ("PossibleMemoryLeak, slow", "_limit_bytes{job=\"sermon-uploader\"} > 0)", "_limit_bytes{job=\"sermon-uploader\"} > -1)"),
    ("PossibleMemoryLeak, slow", "> 0.25 * container:", "> 0.01 * container:"),
    ("given back every half hour", 'offset 2h\n          > container:', 'offset 2h\n          >= container:'),
    ("a restart begins anew", '< time() - 21600', '< time() - 3600'),
    ("rises every day", "<= max_over_time(container_memory_rss", "<= min_over_time(container_memory_rss"),
]  # fmt: skip
"""A test by its name, and a change of the shipped rules that it must notice."""


@pytest.mark.long
@pytest.mark.parametrize(("test", "shipped", "broken"), MUTATIONS)
def test_a_wrong_rule_is_caught(
    test: str, shipped: str, broken: str, binaries: Binaries, copy: Path
) -> None:
    rules = (copy / "alerts.yml").read_text()
    assert shipped in rules
    (copy / "alerts.yml").write_text(rules.replace(shipped, broken))
    answer = ask(binaries.promtool, "test", "rules", f"--run={test}", *TESTS, cwd=copy)
    assert answer.returncode != 0
    assert "FAILED" in answer.stderr, answer.stderr
