"""The application by rate, errors and duration, from its access log; and its health checks."""

from __future__ import annotations

from monitoring.dashboards.panel import JOB, Board, Panel, Query, Row
from target.rules import UPLOAD_ROUTES

_BUCKETS = f'sum by (le) (rate(sermon_uploader_request_duration_seconds_bucket{{{JOB},route!~"{UPLOAD_ROUTES}"}}[$__rate_interval]))'
_UPLOAD_BUCKETS = f'sum by (le) (rate(sermon_uploader_request_duration_seconds_bucket{{{JOB},route=~"{UPLOAD_ROUTES}"}}[$__rate_interval]))'

BOARD = Board(
    "sermon-application",
    "Sermon Uploader: application",
    "Rate, errors and duration of its requests, its uploads, and how its health checks answer.",
    (
        Row(
            "Requests",
            (
                Panel(
                    "Requests by route",
                    "Finished requests a second. Routes without any are left out.",
                    (
                        Query(
                            f"sum by (method, route) (rate(sermon_uploader_requests_total{{{JOB}}}[$__rate_interval])) > 0",
                            "{{method}} {{route}}",
                        ),
                    ),
                    unit="reqps",
                    least=0,
                    stacked=True,
                ),
                Panel(
                    "Answers by status code",
                    "4xx is the sender's mistake, 5xx ours.",
                    (
                        Query(
                            f"sum by (code) (rate(sermon_uploader_responses_total{{{JOB}}}[$__rate_interval])) > 0",
                            "{{code}}",
                        ),
                    ),
                    unit="reqps",
                    least=0,
                    stacked=True,
                ),
                Panel(
                    "Share of errors in 5 minutes",
                    "HighErrorRate fires above 10 % with at least 5 errors, for 3 minutes.",
                    (
                        Query(
                            "sum(job:sermon_uploader_errors:recent) / sum(job:sermon_uploader_requests:recent)",
                            "errors",
                        ),
                    ),
                    unit="percentunit",
                    limits=((0.1, "red"),),
                    least=0,
                ),
                Panel(
                    "Duration without uploads",
                    "HighResponseTime fires where the 95th percentile is above 5 s for 5 minutes.",
                    tuple(
                        Query(f"histogram_quantile({q}, {_BUCKETS})", f"{name} percentile")
                        for q, name in ((0.5, "50th"), (0.95, "95th"), (0.99, "99th"))
                    ),
                    unit="s",
                    limits=((5, "red"),),
                    least=0,
                ),
            ),
        ),
        Row(
            "Uploads",
            (
                Panel(
                    "Uploads in 10 minutes",
                    "UploadFailures fires above 10 % of them; a rollback waits for the third failure.",
                    (
                        Query("sum(job:sermon_uploader_uploads:recent)", "attempts"),
                        Query("sum(job:sermon_uploader_upload_failures:recent)", "failed"),
                    ),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Duration of uploads",
                    "It contains the sender's own upload time.",
                    (
                        Query(f"histogram_quantile(0.5, {_UPLOAD_BUCKETS})", "50th percentile"),
                        Query(f"histogram_quantile(0.95, {_UPLOAD_BUCKETS})", "95th percentile"),
                    ),
                    unit="s",
                    least=0,
                ),
            ),
        ),
        Row(
            "Health checks",
            (
                Panel(
                    "Health check by phase",
                    "Where the time goes: name, connection, first byte, body.",
                    (
                        Query(
                            f"max by (component, phase) (sermon_uploader_probe_phase_duration_seconds{{{JOB}}})",
                            "{{component}} {{phase}}",
                        ),
                    ),
                    unit="s",
                    least=0,
                ),
                Panel(
                    "Failed health checks in a row",
                    "HealthCheckFailing fires at 5.",
                    (
                        Query(
                            f"max by (component) (sermon_uploader_consecutive_probe_failures{{{JOB}}})",
                            "{{component}}",
                        ),
                    ),
                    limits=((5, "red"),),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Why health checks failed, in an hour",
                    "refused, timeout, dns, tls, status, body.",
                    (
                        Query(
                            f"sum by (component, reason) (increase(sermon_uploader_probe_failures_total{{{JOB}}}[1h]))",
                            "{{component}} {{reason}}",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "What it logged of others, in an hour",
                    "Failed operations on MinIO, and Discord messages that it could not send.",
                    (
                        Query(
                            f"sum(increase(sermon_uploader_minio_connection_errors_total{{{JOB}}}[1h]))",
                            "MinIO",
                        ),
                        Query(
                            f"sum(increase(sermon_uploader_discord_notification_errors_total{{{JOB}}}[1h]))",
                            "Discord",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
            ),
        ),
    ),
)
