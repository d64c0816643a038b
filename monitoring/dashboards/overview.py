"""Is it well? One look, from anywhere."""

from __future__ import annotations

from monitoring.dashboards.panel import JOB, UP_OR_DOWN, Board, Panel, Query, Row, number

BOARD = Board(
    "sermon-overview",
    "Sermon Uploader: overview",
    "Whether everything is well, what runs, and what happened lately.",
    (
        Row(
            "Now",
            (
                number(
                    "Application",
                    "Whether its health endpoint answers.",
                    f"min(sermon_uploader_up{{{JOB}}})",
                    words=UP_OR_DOWN,
                ),
                number(
                    "MinIO",
                    "Whether the storage answers.",
                    f"min(sermon_uploader_minio_up{{{JOB}}})",
                    words=UP_OR_DOWN,
                ),
                number(
                    "Docker Engine",
                    "Whether the Engine tells of the containers.",
                    f'min(sermon_monitor_collector_success{{{JOB},collector="containers"}})',
                    words=UP_OR_DOWN,
                ),
                number(
                    "Fullest disk",
                    "Of the storage of the host; HighDiskUsage fires above 90 %.",
                    f"max(1 - mount:node_filesystem_avail_bytes:storage{{{JOB}}} / node_filesystem_size_bytes{{{JOB}}})",
                    unit="percentunit",
                    limits=((0.8, "orange"), (0.9, "red")),
                    decimals=0,
                ),
                number(
                    "Alerts that fire",
                    "Critical and warning; the table below names them.",
                    'count(max by (alertname, severity) (ALERTS{alertstate="firing",severity=~"critical|warning"})) or vector(0)',
                    limits=((1, "red"),),
                ),
                number(
                    "Watchdog heard",
                    "Time since the way from Prometheus to the receiver was last seen to work.",
                    f"time() - max(sermon_monitor_watchdog_last_seen_timestamp_seconds{{{JOB}}})",
                    unit="s",
                    limits=((150, "orange"), (300, "red")),
                    decimals=0,
                ),
                number(
                    "Version that runs",
                    "By its image's label or tag.",
                    f"sermon_uploader_build_info{{{JOB}}}",
                    legend="{{version}} {{image}}",
                    shows="name",
                    below="blue",
                    width=12,
                ),
                number(
                    "Running for",
                    "Since this version took over.",
                    f"time() - max(sermon_uploader_running_version_start_time_seconds{{{JOB}}})",
                    unit="s",
                    below="blue",
                    decimals=0,
                ),
                number(
                    "Proved good",
                    "Well for GOOD_AFTER with no critical alert.",
                    f"min(sermon_uploader_running_version_good{{{JOB}}})",
                    words={"0": ("not yet", "orange"), "1": ("yes", "green")},
                ),
                number(
                    "Way back",
                    "Whether a rollback has a version to go to.",
                    f"clamp_max(count(sermon_uploader_known_good_info{{{JOB}}}), 1) or vector(0)",
                    words={"0": ("none", "orange"), "1": ("there is one", "green")},
                ),
            ),
        ),
        Row(
            "Lately",
            (
                Panel(
                    "What was up",
                    "Application, MinIO and the containers over time.",
                    (
                        Query(f"min(sermon_uploader_up{{{JOB}}})", "application"),
                        Query(f"min(sermon_uploader_minio_up{{{JOB}}})", "MinIO"),
                        Query(
                            f'max by (name) (container_state{{{JOB},state="running"}})', "{{name}}"
                        ),
                    ),
                    "states",
                    words=UP_OR_DOWN,
                    width=24,
                ),
                Panel(
                    "Requests and errors",
                    "Finished requests a second, and those answered with a server error.",
                    (
                        Query(
                            f"sum(rate(sermon_uploader_requests_total{{{JOB}}}[$__rate_interval]))",
                            "requests",
                        ),
                        Query(
                            f"sum(rate(sermon_uploader_errors_total{{{JOB}}}[$__rate_interval]))",
                            "errors",
                        ),
                    ),
                    unit="reqps",
                    least=0,
                ),
                Panel(
                    "Uploads in an hour",
                    "Attempts, and those that failed.",
                    (
                        Query(
                            f"sum(increase(sermon_uploader_uploads_total{{{JOB}}}[1h]))", "attempts"
                        ),
                        Query(
                            f"sum(increase(sermon_uploader_upload_failures_total{{{JOB}}}[1h]))",
                            "failed",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Alerts that fire",
                    "Pending ones are not told yet.",
                    (
                        Query(
                            "max by (alertname, alertstate, severity, service, name, mountpoint) (ALERTS)"
                        ),
                    ),
                    "table",
                    width=24,
                    height=7,
                ),
            ),
        ),
    ),
)
